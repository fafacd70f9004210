# Read by the launchers: how Node.js meets an institute's network. Values that are set already stay.

# A proxy is used when HTTPS_PROXY or HTTP_PROXY names one; this machine itself is never asked for through it.
: "${NODE_USE_ENV_PROXY:=1}"
NO_PROXY="127.0.0.1,localhost,::1${NO_PROXY:+,$NO_PROXY}${no_proxy:+,$no_proxy}"
# The authorities that the system trusts, and one more of the institute's own.
: "${NODE_USE_SYSTEM_CA:=1}"
[ -z "${CYGNET_CA_FILE-}" ] || NODE_EXTRA_CA_CERTS=$CYGNET_CA_FILE
export NODE_USE_ENV_PROXY NO_PROXY NODE_USE_SYSTEM_CA
[ -z "${NODE_EXTRA_CA_CERTS-}" ] || export NODE_EXTRA_CA_CERTS
