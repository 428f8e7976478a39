"""Objects of S3, GCS, Azure and HTTP: addresses, repeated requests, disk cache."""
