"""The example clients with a server that runs trusted documents only."""

import json
import subprocess
from pathlib import Path

from tests.accounts import ALICE
from tests.databases import SqliteTemplates
from tests.examples.frontends import FOLDER, needs_packages, settings_of
from tests.node import NODE, needs_node
from tests.processes import forked_server

pytestmark = [needs_node, needs_packages]

STORY = """
const [folder, url, username, password, manifest] = process.argv.slice(1);
const load = (file) => import(`file://${folder}/${file}`);
const { Session } = await load("session.js");
const { createClient, me } = await load("fetch.js");
const { listen } = await load("session-events.js");
const { WebSocket } = await load("node_modules/ws/wrapper.mjs");
const session = new Session(url);
session.trustedDocuments = JSON.parse(manifest);
const reply = {};
try {
  reply.errors = await session.signIn(username, password);
  reply.me = (await me(createClient(session))).username;
  const event = new Promise((resolve) => {
    const stop = listen(session, ({ kind }) => {
      // A second sign-in of the other client ends its first session.
      if (kind !== "SIGNED_IN") return;
      stop();
      resolve(kind);
    }, WebSocket);
  });
  const other = new Session(url);
  other.trustedDocuments = session.trustedDocuments;
  // The protocol does not report when a subscription has started.
  const again = setInterval(() => other.signIn(username, password), 200);
  reply.event = await event;
  clearInterval(again);
  await session.signOut();
  reply.user = session.user;
} catch (error) {
  reply.error = error.message;
}
console.log(JSON.stringify(reply));
process.exit(0);
"""


def run(*arguments: str) -> str:
    command = [str(NODE), *arguments]
    done = subprocess.run(
        command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_example_clients_work_with_trusted_documents_only(
    sqlite_templates: SqliteTemplates, tmp_path: Path
) -> None:
    manifest = tmp_path / "persisted-documents.json"
    manifest.write_text(run("manifest.js"))
    settings = settings_of(sqlite_templates.new(tmp_path)) | {
        "POSTERN_TRUSTED_DOCUMENTS": str(manifest),
        "POSTERN_TRUSTED_DOCUMENTS_ONLY": "on",
    }
    with forked_server(tmp_path, settings) as server:
        url = f"{server.base_url}/graphql"
        story = ("--input-type=module", "-e", STORY, str(FOLDER), url, "alice", ALICE.password)
        assert json.loads(run(*story, manifest.read_text())) == {
            "errors": [],
            "me": "alice",
            "event": "SIGNED_IN",
            "user": None,
        }
        assert "403" in json.loads(run(*story, "{}"))["error"]
