#!/bin/sh
# Installs Cygnet from this folder (an unpacked bundle). Needs no network and no registry; run it again to upgrade.
set -eu

usage() {
  cat <<'TEXT'
usage: ./install.sh [--prefix FOLDER] [--bin FOLDER] [--cache FOLDER]

  --prefix   where versions are kept     (root: /opt/cygnet, otherwise ~/.local/opt/cygnet)
  --bin      where the command is linked (root: /usr/local/bin, otherwise ~/.local/bin)
  --cache    what installations share    (root: /var/cache/cygnet, otherwise ~/.cache/cygnet)

Nothing of an installation's data is touched. To leave: cygnet uninstall.
TEXT
}

refuse() {
  printf 'error: %s\n  %s\n' "$1" "$2" >&2
  exit "${3-1}"
}

if [ "$(id -u)" = 0 ]; then
  prefix=/opt/cygnet bin=/usr/local/bin cache=${CYGNET_CACHE:-/var/cache/cygnet}
else
  prefix=$HOME/.local/opt/cygnet bin=$HOME/.local/bin cache=${CYGNET_CACHE:-$HOME/.cache/cygnet}
fi
while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --bin | --cache)
      [ $# -ge 2 ] || refuse "$1 takes a folder." 'See ./install.sh --help.' 2
      case $1 in --prefix) prefix=$2 ;; --bin) bin=$2 ;; --cache) cache=$2 ;; esac
      shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) refuse "There is no option $1." 'See ./install.sh --help.' 2 ;;
  esac
done
case $prefix$bin in *[!/A-Za-z0-9._@+-]*) refuse "A path has unusual characters: $prefix $bin" 'Choose folders of letters, digits and ._@+-' 2 ;; esac

here=$(CDPATH= cd "$(dirname "$0")" && pwd -P)
version=$(cat "$here/VERSION")
[ "$(uname -m)" = "$(cat "$here/MACHINE")" ] ||
  refuse "This bundle is for $(cat "$here/MACHINE"), this machine is $(uname -m)." 'Make a bundle on a machine of this kind: cygnet bundle.'

echo "checking the files of $version"
(cd "$here" && sha256sum --quiet --check SHA256SUMS) ||
  refuse 'A file of the bundle is not what it was.' 'Copy the bundle again and compare its sum.' 8
"$here/program/bin/node" --version >/dev/null 2>&1 ||
  refuse "The Node.js of the bundle does not run here: $("$here/program/bin/node" --version 2>&1 | head -n 1)" 'It needs glibc 2.28 or later (Debian 10, RHEL 8, Ubuntu 18.10 or later).'
command -v python3 >/dev/null 2>&1 ||
  echo 'note: there is no python3 here; jobs need 3.9 or later, notebooks 3.11 or later.' >&2

if [ ! -d "$prefix/$version" ]; then
  needed=$(du -sk "$here" | cut -f1)
  mkdir -p "$prefix"
  free=$(df -Pk "$prefix" | awk 'NR==2 {print $4}')
  [ "$free" -gt "$needed" ] || refuse "$prefix has $((free / 1024)) MB free, $((needed / 1024)) MB are needed." 'Free some, or choose --prefix on another disk.' 7
  echo "copying to $prefix/$version"
  # Complete or absent: a copy that was cut leaves only a hidden folder, which the next one removes.
  rm -rf "$prefix"/.new-*
  new=$prefix/.new-$$
  mkdir "$new"
  cp -R "$here/program" "$here/bin" "$here/packaging" "$new/"
  chmod -R u+rwX,go+rX,go-w "$new"
  mv "$new" "$prefix/$version"
fi
ln -sfn "$version" "$prefix/.current-$$" && mv -T "$prefix/.current-$$" "$prefix/current"
mkdir -p "$bin"
if [ -e "$bin/cygnet" ] && [ ! -L "$bin/cygnet" ]; then
  refuse "$bin/cygnet is a file of somebody else." 'Move it away, or choose another folder with --bin.'
fi
ln -sfn "$prefix/current/bin/cygnet" "$bin/cygnet"

if [ -d "$here/wheels" ]; then
  mkdir -p "$cache/wheels"
  for wheel in "$here"/wheels/*; do
    [ -e "$cache/wheels/${wheel##*/}" ] || { cp "$wheel" "$cache/wheels/.new" && mv "$cache/wheels/.new" "$cache/wheels/${wheel##*/}"; }
  done
  chmod -R u+rwX,go+rX,go-w "$cache/wheels"
fi

echo "installed $version"
case :$PATH: in *":$bin:"*) command=cygnet ;; *) command=$bin/cygnet ;; esac
echo "  $command doctor            what this machine lacks"
echo "  $command up                start it; $command install-service makes it a service"
echo "  $command upgrade           hand a running platform over to this version"
