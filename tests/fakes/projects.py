"""Projects as others make them: `vinext init` of 1.4.0, create-cloudflare for Python, a framework's first page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VITE = """\
import { defineConfig } from "vite";
import vinext from "vinext";
import { cloudflare } from "@cloudflare/vite-plugin";
import { imagesOptimizer } from "@vinext/cloudflare/images/images-optimizer";

export default defineConfig({
  plugins: [
    vinext({
      images: { optimizer: imagesOptimizer() },
    }),
    cloudflare({
      viteEnvironment: {
        name: "rsc",
        childEnvironments: ["ssr"],
      },
    }),
  ],
});
"""

TYPED = """\
import { bindings, defineConfig, defineWorker } from "cf/config";

export default defineConfig({
  worker: defineWorker({
    name: "my-next-app",
    entrypoint: "vinext/server/fetch-handler",
    compatibilityDate: "2026-11-28",
    compatibilityFlags: ["nodejs_compat"],
    assets: {
      htmlHandling: "none",
      notFoundHandling: "none",
      runWorkerFirst: ["/*", "!/_next/static/*", "!/*/_next/static/*"],
    },
    env: {
      ASSETS: bindings.assets(),
      IMAGES: bindings.images(),
    },
  }),
});
"""

PACKAGE = """\
{
  "name": "my-next-app",
  "private": true,
  "scripts": {
    "build": "next build",
    "build:vinext": "vite build",
    "deploy:vinext": "vinext-cloudflare deploy"
  },
  "dependencies": {
    "@vinext/cloudflare": "^0.2.1",
    "next": "16.0.0",
    "react": "19.3.1",
    "react-dom": "19.3.1",
    "react-server-dom-webpack": "^19.3.1",
    "vinext": "^1.4.0"
  },
  "type": "module",
  "devDependencies": {
    "vite": "8.3.0",
    "@vitejs/plugin-react": "^6.3.0",
    "@vitejs/plugin-rsc": "^0.5.38",
    "@cloudflare/vite-plugin": "^2.0.0-beta.v.12",
    "cf": "^0.0.5"
  }
}
"""

VINEXT_APP: Mapping[str, str] = {
    "package.json": PACKAGE,
    "vite.config.ts": VITE,
    "cloudflare.config.ts": TYPED,
    ".gitignore": "/dist/\n.vinext/\n.cloudflare/\n",
    "app/layout.tsx": 'export default ({ children }) => <html lang="en"><body>{children}</body></html>;\n',
    "app/page.tsx": "export default () => <h1>Hello</h1>;\n",
    "app/news/page.tsx": "export const revalidate = 60; export default () => <p>News</p>;\n",
}
"""What `vinext init --platform=cloudflare` leaves behind, with its default answers."""

PYTHON_WORKER: Mapping[str, str] = {
    "wrangler.jsonc": """\
{
\t"name": "my-worker",
\t"main": "src/entry.py",
\t// the day it was made
\t"compatibility_date": "2026-11-28",
\t"compatibility_flags": ["python_workers"],
\t"observability": {
\t\t"enabled": true,
\t},
}
""",
    "pyproject.toml": """\
[project]
name = "my-worker"
version = "0.1.0"
requires-python = ">=3.12"
dependencies = []  # none yet

[dependency-groups]
dev = ["workers-py", "workers-runtime-sdk"]
""",
    "package.json": """\
{
\t"name": "my-worker",
\t"private": true,
\t"scripts": {
\t\t"dev": "uv run pywrangler dev"
\t}
}
""",
    ".gitignore": "python_modules/\n.venv/\n.venv-workers/",
    "src/submodule.py": 'def get_hello_message():\n    return "Hello World!"\n',
    "src/entry.py": """\
from workers import Response, WorkerEntrypoint
from submodule import get_hello_message
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(get_hello_message())
""",
}
"""What `pywrangler init` makes: create-cloudflare's template for Python."""

STARLETTE: Mapping[str, str] = {
    "requirements.txt": "# the site\nstarlette==1.10.0\nanyio==4.16.0  # for starlette\nuvicorn[standard]>=0.30\n",
    "src/main.py": """\
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def home(request):
    return PlainTextResponse("Hello")


app = Starlette(routes=[Route("/", home)])
""",
}

FLASK: Mapping[str, str] = {
    "pyproject.toml": '[project]\nname = "site"\nversion = "1"\ndependencies = ["Flask>=3"]\n',
    "src/web/__init__.py": "",
    "src/web/app.py": 'from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get("/")\ndef home():\n    return "Hello"\n',
}

FASTAPI: Mapping[str, str] = {
    "requirements.txt": "fastapi\n",
    "main.py": """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def home():
    return {"hello": "world"}
""",
}

DJANGO: Mapping[str, str] = {
    "manage.py": "",
    "requirements.txt": "Django==5.2\n",
    "src/shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\n\napplication = get_wsgi_application()\n",
}


def write_project(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files of a project below a folder, and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
