"""Images as tensors: resident or streamed, batches, augmentation."""
