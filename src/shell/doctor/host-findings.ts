/** Facts about a machine turned into words: what is wrong with it for Cygnet, why that matters, and what to do. Pure. */
import type { Finding } from '../../foundation/findings.ts'
import type { HostFacts } from './host-facts.ts'

const gigabyte = 1e9
const comfortableBytes = 20 * gigabyte
const leastBytes = 2 * gigabyte
const leastMemoryBytes = 3.5 * gigabyte
/** One gateway with a thousand clients, their files and the index. */
const comfortableOpenFiles = 4096

export function hostFindings(facts: HostFacts): Finding[] {
  return [
    diskSpace(facts),
    inodes(facts),
    networkDisk(facts),
    forgetfulDisk(facts),
    barriers(facts),
    noexec(facts),
    readOnly(facts),
    attributes(facts),
    ownership(facts),
    secrets(facts),
    openFiles(facts),
    memory(facts),
    threads(facts),
    clock(facts),
    capabilities(facts),
    proxy(facts),
    ...ports(facts),
  ].filter((finding) => finding !== undefined)
}

function good(what: string, detail: string): Finding {
  return { what, verdict: 'good', detail, hint: '' }
}

const inGigabytes = (bytes: number): string => `${(bytes / gigabyte).toFixed(1)} GB`

function diskSpace({ disk, folder }: HostFacts): Finding {
  const detail = `${inGigabytes(disk.freeBytes)} free at ${folder}`
  if (disk.freeBytes >= comfortableBytes) return good('disk', detail)
  return {
    what: 'disk',
    verdict: disk.freeBytes < leastBytes ? 'bad' : 'warning',
    detail,
    hint: 'A day of data taking is 70 GB at the median. Free some, or choose another disk with --home.',
  }
}

function inodes({ disk, folder }: HostFacts): Finding | undefined {
  // Some file systems (btrfs) count none.
  if (disk.totalInodes === 0 || disk.freeInodes > 100_000) return undefined
  return {
    what: 'files on the disk',
    verdict: disk.freeInodes < 5_000 ? 'bad' : 'warning',
    detail: `room for ${disk.freeInodes} more files at ${folder}`,
    hint: 'The disk can be full of files although it has space: remove small ones, or choose another disk with --home.',
  }
}

function networkDisk({ networkFileSystem, folder }: HostFacts): Finding {
  if (networkFileSystem === undefined) return good('file system', 'local')
  const hint = 'The database and the index need a local disk, and refuse to start here: choose one with --home.'
  return { what: 'file system', verdict: 'bad', detail: `${folder} is on ${networkFileSystem}`, hint }
}

function forgetfulDisk({ mount, folder }: HostFacts): Finding | undefined {
  if (mount === undefined || !['tmpfs', 'ramfs', 'overlay', 'aufs'].includes(mount.fileSystem)) return undefined
  const isLayer = mount.fileSystem === 'overlay' || mount.fileSystem === 'aufs'
  const detail = isLayer
    ? `${folder} lies in the writable layer of a container`
    : `${folder} is in memory (${mount.fileSystem})`
  const hint = isLayer
    ? 'It goes with the container: mount a volume at the home.'
    : 'It is empty after the next start of the machine: choose a disk with --home.'
  return { what: 'lasting', verdict: 'bad', detail, hint }
}

function barriers({ mount, folder }: HostFacts): Finding | undefined {
  const lax = mount?.options.find((option) =>
    ['nobarrier', 'barrier=0', 'data=writeback', 'async_commit'].includes(option),
  )
  if (lax === undefined) return undefined
  const hint = 'What is told to be safe is then not safe in a power cut. Remove the option from /etc/fstab and remount.'
  return { what: 'power cut', verdict: 'bad', detail: `${folder} is mounted with ${lax}`, hint }
}

function noexec({ mount, folder }: HostFacts): Finding | undefined {
  if (mount?.options.includes('noexec') !== true) return undefined
  const hint = 'The program runs from its copy in the home: mount without noexec, or choose another disk with --home.'
  return { what: 'programs', verdict: 'bad', detail: `${folder} is mounted with noexec`, hint }
}

function readOnly({ mount, folder }: HostFacts): Finding | undefined {
  if (mount?.options[0] !== 'ro') return undefined
  const hint =
    'A disk that had an error is often mounted read-only by the kernel: see dmesg, check it (fsck), then remount.'
  return { what: 'writing', verdict: 'bad', detail: `${folder} is mounted read-only`, hint }
}

function attributes({ keepsAttributes, folder }: HostFacts): Finding | undefined {
  if (keepsAttributes !== false) return undefined
  const hint =
    'Checksums then lie in files beside the objects: slower, and cp -a loses them. ext4 and xfs keep attributes.'
  return { what: 'attributes', verdict: 'warning', detail: `${folder} keeps no extended attributes`, hint }
}

function ownership({ homeExists, homeOwnerUid, uid, folder }: HostFacts): Finding | undefined {
  if (!homeExists || homeOwnerUid === uid) return undefined
  const detail = `${folder} belongs to the user ${homeOwnerUid}, you are ${uid}`
  if (uid === 0) {
    const hint = 'Run it as its owner: as root, new files would belong to root and the owner could not start it again.'
    return { what: 'owner', verdict: 'warning', detail, hint }
  }
  return {
    what: 'owner',
    verdict: 'bad',
    detail,
    hint: 'Run it as its owner, or choose a home of your own with --home.',
  }
}

function secrets({ secretsMode, folder }: HostFacts): Finding | undefined {
  if (secretsMode === undefined || (secretsMode & 0o007) === 0) return undefined
  const detail = `${folder}/secrets can be entered by everybody (mode ${secretsMode.toString(8)})`
  return {
    what: 'secrets',
    verdict: 'bad',
    detail,
    hint: `Run: chmod 700 ${folder}/secrets, and think who could read it.`,
  }
}

function openFiles({ openFiles: most }: HostFacts): Finding | undefined {
  if (most === undefined || most >= comfortableOpenFiles) return undefined
  const hint = 'Uploads fail under load. Raise it: ulimit -n 65536, or LimitNOFILE=65536 in the unit.'
  return { what: 'open files', verdict: most < 512 ? 'bad' : 'warning', detail: `${most} at once`, hint }
}

function memory({ memory: { totalBytes } }: HostFacts): Finding {
  const detail = inGigabytes(totalBytes)
  if (totalBytes >= leastMemoryBytes) return good('memory', detail)
  const hint = 'The platform takes 0.35 GB, a notebook 0.2 GB and more, a reconstruction 1 GB.'
  return { what: 'memory', verdict: 'warning', detail, hint }
}

function threads({ threadsMax }: HostFacts): Finding | undefined {
  if (threadsMax === undefined || threadsMax >= 8_000) return undefined
  const hint = 'Notebooks start many threads: sysctl kernel.threads-max=60000.'
  return { what: 'threads', verdict: 'warning', detail: `${threadsMax} on the whole machine`, hint }
}

function clock({ clockKeeper }: HostFacts): Finding {
  if (clockKeeper !== undefined) return good('clock', `kept by ${clockKeeper}`)
  const detail = 'no program was found that keeps it'
  const hint =
    'Times of runs are as good as the clock, and uploads are refused when it is 15 minutes off: install chrony. (A virtual machine may get it from its host.)'
  return { what: 'clock', verdict: 'warning', detail, hint }
}

function capabilities({ uid, commands }: HostFacts): Finding | undefined {
  if (uid !== 0 || commands.setpriv) return undefined
  const hint = 'Gateways then run as root. It comes with util-linux.'
  return { what: 'setpriv', verdict: 'warning', detail: 'not installed', hint }
}

function proxy({ proxy: { url, exceptions } }: HostFacts): Finding | undefined {
  if (url === undefined || url === '') return undefined
  const detail = url.replace(/\/\/[^@/]*@/, '//…@')
  if (exceptions.split(',').some((name) => ['127.0.0.1', 'localhost', '*'].includes(name.trim())))
    return good('proxy', detail)
  const hint = 'Commands would ask the proxy for this very machine: export NO_PROXY=127.0.0.1,localhost.'
  return { what: 'proxy', verdict: 'warning', detail, hint }
}

function ports({ takenPorts }: HostFacts): Finding[] {
  return takenPorts.map(({ port, holder }) => ({
    what: `port ${port}`,
    verdict: 'bad' as const,
    detail: `taken by ${holder ?? 'a process of somebody else'}`,
    hint: 'Stop that one, or choose another port with --port or http.port.',
  }))
}
