"""Settings of a session's Jupyter server. Everything that differs between sessions comes by environment."""
import os

# The server takes no module from the folder it starts in, which is the person's home; their own programs do.
os.environ.pop("PYTHONSAFEPATH", None)

c = get_config()  # noqa: F821 - given by traitlets

c.ServerApp.sock = os.environ["CYGNET_SESSION_SOCKET"]
c.ServerApp.sock_mode = "0600"
c.ServerApp.base_url = os.environ["CYGNET_SESSION_BASE"]
c.ServerApp.root_dir = os.environ["HOME"]
c.ServerApp.identity_provider_class = "cygnet_jupyter.CygnetIdentityProvider"
c.ServerApp.allow_remote_access = True
c.ServerApp.open_browser = False
c.ServerApp.quit_button = False
c.ServerApp.port_retries = 0
c.ServerApp.allow_root = True
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash", "-l"]}
c.ServerApp.tornado_settings = {
    "headers": {
        "Content-Security-Policy": "frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    },
}
c.FileContentsManager.delete_to_trash = False
c.KernelManager.transport = "ipc"
# None, not an empty string: only that keeps Lab from asking people about news.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
