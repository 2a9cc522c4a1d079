// Starts `dslc lsp` and connects it with the editor.
const { window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function activate() {
  const command = workspace.getConfiguration("dslc").get("command");
  const cwd = workspace.workspaceFolders?.[0]?.uri.fsPath;
  client = new LanguageClient(
    "dslc",
    "dslc",
    { command, args: ["lsp"], options: { cwd } },
    { documentSelector: [{ language: "dslc" }] },
  );
  try {
    await client.start();
  } catch (error) {
    window.showErrorMessage(`dslc lsp does not start: ${error.message}. Install it with pip install 'dslc[lsp]', and name it in dslc.command.`);
  }
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
