"""A Label Studio that lives in this process: its answers have the form of recorded ones."""

import copy
import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

PAYLOADS = Path(__file__).parent / "payloads"
URL = "http://studio.test:8080"
LEGACY_KEY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL_KEY = "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2lnbmVk"
ENTRIES = {"Choices": "Choice", "BrushLabels": "Label", "PolygonLabels": "Label"}


def payload(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text())


class FakeLabelStudio:
    """Tests change it by plain attributes: `projects`, `tasks`, `users`, `requests`, `fail_at`."""

    def __init__(self):
        self.projects = {}
        self.tasks = {}
        self.files = {}
        self.users = payload("users")
        self.now = datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
        self.requests = []
        self.access = "access-1"
        self.refreshed = 0
        self.fail_at = None  # (number of requests to let pass, what to answer or raise then)
        self.release = payload("version")["release"]
        self._last = 0

    @property
    def transport(self):
        return httpx.MockTransport(self.handle)

    # What people do there

    def annotate(self, task_id, result, user=1, *, cancelled=False):
        annotation = self._annotation(result, user, cancelled=cancelled)
        annotation["id"] = self._number()
        self.tasks[task_id]["annotations"].append(annotation)
        return annotation

    def choose(self, task_id, *names, user=1):
        value = {"choices": list(names)}
        return self.annotate(task_id, [{"type": "choices", "from_name": "label", "value": value}], user)

    def change(self, annotation, **values):
        annotation.update(values, updated_at=self._time())

    def add_user(self, email, **names):
        user = {**self.users[0], "id": self._number(), "email": email, **names}
        self.users.append(user)
        return user["id"]

    def task_of(self, path):
        return next(number for number, task in self.tasks.items() if task["data"]["path"] == path)

    # What it answers

    def handle(self, request):
        route = (request.method, request.url.path)
        self.requests.append(route)
        if self.fail_at is not None and len(self.requests) > self.fail_at[0]:
            failure = self.fail_at[1]
            if isinstance(failure, Exception):
                raise failure
            return failure
        if route == ("POST", "/api/token/refresh/"):
            return self._refresh(request)
        if route == ("GET", "/api/version"):
            return httpx.Response(200, json={**payload("version"), "release": self.release})
        if request.headers["authorization"] not in (f"Token {LEGACY_KEY}", f"Bearer {self.access}"):
            return httpx.Response(401, json=payload("wrong_key"))
        query = {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}
        for method, pattern, answer in self._routes():
            found = re.fullmatch(pattern, request.url.path)
            if found and method == request.method:
                return answer(request, query, *map(int, found.groups()))
        return httpx.Response(404, json=payload("no_project"))

    def _routes(self):
        return [
            ("GET", "/api/users/", lambda *_: httpx.Response(200, json=self.users)),
            ("GET", "/api/projects/", self._list_projects),
            ("POST", "/api/projects/", self._make_project),
            ("GET", r"/api/projects/(\d+)/", self._project),
            ("PATCH", r"/api/projects/(\d+)/", self._patch_project),
            ("POST", r"/api/projects/(\d+)/import", self._import),
            ("GET", r"/api/projects/(\d+)/file-uploads", self._file_uploads),
            ("GET", "/api/tasks/", self._list_tasks),
            ("GET", r"/api/tasks/(\d+)/", self._task),
            ("PATCH", r"/api/tasks/(\d+)/", self._patch_task),
            ("POST", "/api/predictions/", self._predict),
        ]

    def _refresh(self, request):
        if json.loads(request.content) != {"refresh": PERSONAL_KEY}:
            return httpx.Response(401, json={**payload("wrong_key"), "detail": "Token is invalid"})
        self.refreshed += 1
        return httpx.Response(200, json={"access": self.access})

    def _list_projects(self, request, query):
        page, size = int(query["page"]), int(query["page_size"])
        found = [{"id": one["id"], "title": one["title"]} for one in self.projects.values()]
        after = payload("projects")["next"] if len(found) > page * size else None
        body = {"count": len(found), "next": after, "previous": None, "results": found[(page - 1) * size : page * size]}
        return httpx.Response(200, json=body)

    def _make_project(self, request, query):
        given = json.loads(request.content)
        if len(given["title"]) < 3:
            return httpx.Response(400, json=payload("short_title"))
        project = {**payload("project"), **given, "id": self._number(), "model_version": ""}
        project["parsed_label_config"] = parse(given["label_config"])
        self.projects[project["id"]] = project
        return httpx.Response(201, json=project)

    def _project(self, request, query, number):
        if number not in self.projects:
            return httpx.Response(404, json=payload("no_project"))
        return httpx.Response(200, json=self.projects[number])

    def _patch_project(self, request, query, number):
        project = self.projects[number]
        project.update(json.loads(request.content))
        project["parsed_label_config"] = parse(project["label_config"])
        return httpx.Response(200, json=project)

    def _import(self, request, query, number):
        if request.headers["content-type"].startswith("multipart/form-data"):
            assert query["commit_to_project"] == "false"
            return self._upload(request, number)
        tasks = json.loads(request.content)
        for given in tasks:
            task = copy.deepcopy(payload("tasks")["tasks"][0])
            task |= {"id": self._number(), "project": number, "data": given["data"], "annotations": []}
            task["predictions"] = given["predictions"]
            self.tasks[task["id"]] = task
            if given["predictions"] and not self.projects[number]["model_version"]:
                self.projects[number]["model_version"] = given["predictions"][0]["model_version"]
        body = {**payload("import"), "task_count": len(tasks), "task_ids": list(self.tasks)[-len(tasks) :]}
        return httpx.Response(201, json=body)

    def _upload(self, request, number):
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        ids = []
        for part in request.content.split(b"--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'filename="([^"]+)"', head)[1].decode()
            ids.append(self._number())
            self.files[ids[-1]] = (f"upload/{number}/{ids[-1]:08x}-{name}", content.removesuffix(b"\r\n"))
        return httpx.Response(201, json={**payload("upload"), "task_count": len(ids), "file_upload_ids": ids})

    def _file_uploads(self, request, query, number):
        found = [{"id": one, "file": self.files[one][0], "size": 1} for one in json.loads(query["ids"])]
        return httpx.Response(200, json=found[::-1])  # in no order that anybody may rely on

    def _list_tasks(self, request, query):
        found = [self._shown(task) for task in self.tasks.values() if task["project"] == int(query["project"])]
        if "query" in query:
            wanted = {
                item["filter"].removeprefix("filter:tasks:") for item in json.loads(query["query"])["filters"]["items"]
            }
            found = [task for task in found if any(task[counter] > 0 for counter in wanted)]
        page, size = int(query["page"]), int(query["page_size"])
        if (page - 1) * size >= max(1, len(found)):
            return httpx.Response(404, json={**payload("no_project"), "detail": "Invalid page."})
        tasks = found[(page - 1) * size : page * size]
        if "include" in query:
            tasks = [{name: task[name] for name in query["include"].split(",")} for task in tasks]
        body = {"total_annotations": 0, "total_predictions": 0, "total": len(found), "tasks": tasks}
        return httpx.Response(200, json=body)

    def _task(self, request, query, number):
        task = copy.deepcopy(self._shown(self.tasks[number]))
        users = {user["id"]: user for user in self.users}
        for annotation in task["annotations"]:  # one task says more of its annotators than a list of tasks
            annotation["completed_by"] = users[annotation["completed_by"]]
        return httpx.Response(200, json=task)

    def _patch_task(self, request, query, number):
        self.tasks[number].update(json.loads(request.content))
        return httpx.Response(200, json=self._shown(self.tasks[number]))

    def _predict(self, request, query):
        given = json.loads(request.content)
        self.tasks[given.pop("task")]["predictions"].append(given)
        return httpx.Response(201, json=given)

    def _shown(self, task):
        cancelled = sum(one["was_cancelled"] for one in task["annotations"])
        counts = {"total_annotations": len(task["annotations"]) - cancelled, "cancelled_annotations": cancelled}
        return {**task, **counts}

    def _annotation(self, result, user, *, cancelled):
        at = self._time()
        email = next(one["email"] for one in self.users if one["id"] == user)
        changes = {
            "result": result,
            "was_cancelled": cancelled,
            "completed_by": user,
            "created_at": at,
            "updated_at": at,
        }
        return {**payload("annotation"), **changes, "created_username": f" {email}, {user}"}

    def _time(self):
        self.now += timedelta(seconds=1, microseconds=7)
        return self.now.isoformat().replace("+00:00", "Z")

    def _number(self):
        self._last += 1
        return self._last


def parse(label_config):
    """As Label Studio itself parses a configuration, as far as tests need it."""
    view = ET.fromstring(label_config)
    images = {tag.get("name"): tag.get("value") for tag in view.iter("Image")}
    parsed = {}
    for tag in view.iter():
        if tag.tag not in ENTRIES:
            continue
        labels = {entry.get("value"): dict(entry.attrib) for entry in tag.iter(ENTRIES[tag.tag])}
        parsed[tag.get("name")] = {
            "type": tag.tag,
            "to_name": [tag.get("toName")],
            "inputs": [{"type": "Image", "valueType": None, "value": images[tag.get("toName")].removeprefix("$")}],
            "labels": list(labels),
            "labels_attrs": labels,
        }
    return parsed
