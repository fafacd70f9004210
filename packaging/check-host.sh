#!/bin/sh
# Can this machine run the Cygnet agent? Needs nothing but a shell; says why not, and what to do instead.
bad=0
say() { printf '%-8s %-14s %s\n' "$1" "$2" "$3"; }
problem() {
  say bad "$1" "$2"
  printf '         %s\n' "$3"
  bad=1
}
here=$(CDPATH= cd "$(dirname "$0")/.." && pwd -P)
instead='Instead: point the uploader this machine has (aws, rclone, s3cmd, boto3, MINIO client) at the S3 address of the platform with the key of this DAQ machine; runs are then found by their file names.'

[ "$(uname -s)" = Linux ] || problem system "$(uname -s)" "The agent runs on Linux. $instead"
case $(uname -m) in
  "$(cat "$here/MACHINE" 2>/dev/null)") say good machine "$(uname -m)" ;;
  *) problem machine "$(uname -m), the bundle is for $(cat "$here/MACHINE" 2>/dev/null)" 'Make the bundle on a machine of the same kind: cygnet bundle --agent.' ;;
esac
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)
major=${glibc%%.*} minor=${glibc#*.}
if [ -z "$glibc" ]; then
  problem glibc 'not found (musl?)' "The packaged Node.js needs glibc 2.28 or later. $instead"
elif [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "${minor%%.*}" -lt 28 ]; }; then
  problem glibc "$glibc, 2.28 or later is needed" "This system is older than Debian 10 and RHEL 8. $instead"
else
  say good glibc "$glibc"
fi
release=$(uname -r)
major=${release%%.*} rest=${release#*.} minor=${rest%%.*}
if [ "$major" -lt 4 ] || { [ "$major" -eq 4 ] && [ "$minor" -lt 18 ]; }; then
  problem kernel "$release, 4.18 or later is needed" "$instead"
else
  say good kernel "$release"
fi
if [ "$bad" = 0 ]; then
  if said=$("$here/program/bin/node" --version 2>&1); then say good 'Node.js' "$said"; else problem 'Node.js' "$said" "$instead"; fi
fi
if [ "$bad" = 0 ]; then
  echo 'The agent runs here. Next: cygnet daq check (network, key, folder).'
else
  echo 'The agent does not run here.'
fi
exit "$bad"
