/** What keeps user code from being isolated well on a machine, and how to mend it: a pure function of recorded facts. */
import type { Finding } from '../../foundation/findings.ts'

/** As /proc and the file system say; a text is empty when its file is absent. */
export interface HostFacts {
  uid: number
  /** Values of sysctl by dotted name; undefined where this kernel has none. */
  sysctl: Partial<Record<WatchedSysctl, string>>
  /** /proc/self/status */
  status: string
  /** /proc/self/cgroup */
  cgroup: string
  /** /proc/self/mounts */
  mounts: string
  /** /proc/cmdline */
  commandLine: string
  /** cgroup.controllers of the v2 tree's top, or '' */
  controllers: string
  /** A v2 group of ours in which we may make others. */
  delegated: boolean
  /** Files that containers have, among `/.dockerenv`, `/run/.containerenv`, `/var/run/secrets/kubernetes.io`. */
  containerMarks: string[]
  /** Every bwrap on the search path, in its order; version undefined: it does not start. */
  bubblewraps: { path: string; version: string | undefined; setuid: boolean }[]
  /** Folders that programs run from: the home and the cache. */
  programFolders: string[]
  /** What a trial of the whole sandbox said: undefined when it works, null when it was not tried. */
  trial: string | undefined | null
}

export const watchedSysctls = [
  'kernel.apparmor_restrict_unprivileged_userns',
  'kernel.unprivileged_userns_clone',
  'user.max_user_namespaces',
  'kernel.yama.ptrace_scope',
] as const
type WatchedSysctl = (typeof watchedSysctls)[number]

/** Oldest bubblewrap with every option that is used. */
const oldestBubblewrap = '0.8.0'
const sysAdmin = 21n

/** One finding for each thing that matters here, the good ones too. */
export function isolationFindings(facts: HostFacts): Finding[] {
  return [
    bubblewrapFinding(facts),
    ...namespaceFindings(facts),
    ...containerFindings(facts),
    cgroupFinding(facts),
    ...neighbourFindings(facts),
    ...noexecFindings(facts),
  ]
}

function bubblewrapFinding({ bubblewraps, trial }: HostFacts): Finding {
  const what = 'bubblewrap'
  const install = 'Debian, Ubuntu: apt-get install bubblewrap. Fedora, RHEL: dnf install bubblewrap.'
  const works = bubblewraps.find(({ version, setuid }) => version !== undefined && !isOlder(version) && !setuid)
  if (works !== undefined) {
    if (typeof trial === 'string')
      return {
        what,
        verdict: 'bad',
        detail: `${works.version} from ${works.path}, but: ${trial}`,
        hint: 'See the other lines.',
      }
    return { what, verdict: 'good', detail: `${works.version} from ${works.path}`, hint: '' }
  }
  // Without one of the machine's, the pinned wheel is fetched; the trial says whether that did it.
  const verdict = trial === undefined ? 'good' : 'warning'
  const instead = trial === undefined ? '; the one of the Python package index is used' : ''
  const [first] = bubblewraps
  if (first === undefined) return { what, verdict, detail: `not installed${instead}`, hint: install }
  if (first.setuid) {
    const detail = `${first.path} is setuid: it is passed over${instead}`
    return { what, verdict: 'warning', detail, hint: `chmod u-s ${first.path}, and allow user namespaces instead.` }
  }
  const detail = `${first.path} is ${first.version ?? 'broken'}; ${oldestBubblewrap} is needed${instead}`
  return { what, verdict, detail, hint: install }
}

function namespaceFindings({ sysctl, trial }: HostFacts): Finding[] {
  const what = 'user namespaces'
  const bad: Finding['verdict'] = trial === undefined ? 'warning' : 'bad'
  const found: Finding[] = []
  if (sysctl['user.max_user_namespaces'] === '0') {
    const hint = persistent('user.max_user_namespaces', '15000')
    found.push({ what, verdict: bad, detail: 'user.max_user_namespaces is 0: there are none', hint })
  }
  if (sysctl['kernel.unprivileged_userns_clone'] === '0') {
    const hint = persistent('kernel.unprivileged_userns_clone', '1')
    found.push({ what, verdict: bad, detail: 'kernel.unprivileged_userns_clone is 0: only root may make them', hint })
  }
  if (sysctl['kernel.apparmor_restrict_unprivileged_userns'] === '1' && trial !== undefined) {
    found.push({
      what,
      verdict: 'bad',
      detail: 'AppArmor keeps programs without a profile from using them (Ubuntu 23.10 and later)',
      hint: `Give bubblewrap a profile: apt-get install apparmor-profiles; cp /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/; apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict. Or, for every program: ${persistent('kernel.apparmor_restrict_unprivileged_userns', '0')}`,
    })
  }
  return found.length > 0 ? found : [{ what, verdict: 'good', detail: 'allowed', hint: '' }]
}

const persistent = (name: string, value: string) =>
  `sysctl -w ${name}=${value}, and for good: echo ${name}=${value} > /etc/sysctl.d/60-cygnet.conf`

function containerFindings(facts: HostFacts): Finding[] {
  const kind = containerOf(facts)
  if (kind === undefined) return []
  const missing: string[] = []
  const capabilities = BigInt(`0x${field(facts.status, 'CapEff') || '0'}`)
  if (((capabilities >> sysAdmin) & 1n) === 0n) missing.push('no CAP_SYS_ADMIN')
  if (field(facts.status, 'Seccomp') === '2')
    missing.push('a system call filter, which as a rule refuses unshare and mount')
  if (maskedPlaces(facts.mounts).length > 0)
    missing.push(
      `parts of /proc are masked (${maskedPlaces(facts.mounts).slice(0, 3).join(', ')}), so that no new /proc may be mounted`,
    )
  const where = `runs in ${kind}`
  if (facts.trial === undefined)
    return [{ what: 'container', verdict: 'good', detail: `${where}; the sandbox works in it`, hint: '' }]
  return [
    {
      what: 'container',
      verdict: missing.length > 0 ? 'bad' : 'warning',
      detail: missing.length > 0 ? `${where} with ${missing.join('; ')}` : where,
      hint: containerHints[kind],
    },
  ]
}

type Container = 'Docker' | 'Podman' | 'Kubernetes' | 'LXC' | 'a container'

const containerHints: Record<Container, string> = {
  Docker:
    'Start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined; not with --privileged.',
  Podman: 'Start it with --security-opt seccomp=unconfined --security-opt unmask=ALL; not with --privileged.',
  Kubernetes:
    'In the pod: hostUsers: false; in the securityContext of the container: procMount: Unmasked, seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}.',
  LXC: 'Set security.nesting=true (lxc.include = /usr/share/lxc/config/nesting.conf) for this container.',
  'a container': 'Allow user namespaces, mount and an unmasked /proc in it, or run Cygnet on the machine itself.',
}

function containerOf({ containerMarks, cgroup, mounts }: HostFacts): Container | undefined {
  if (containerMarks.some((mark) => mark.includes('kubernetes')) || /kubepods/.test(cgroup)) return 'Kubernetes'
  if (containerMarks.includes('/run/.containerenv') || /libpod/.test(cgroup)) return 'Podman'
  if (containerMarks.includes('/.dockerenv') || /\/docker[/-]/.test(cgroup)) return 'Docker'
  if (/\/lxc[./]/.test(cgroup) || /^lxcfs /m.test(mounts)) return 'LXC'
  // The root of a container's file system is a stack of layers; the one of a machine is not.
  if (/^overlay \/ overlay .*\b(containerd|docker|buildah|containers)\b/m.test(mounts)) return 'a container'
  return undefined
}

/** Files and folders of /proc that something else is mounted over. */
function maskedPlaces(mounts: string): string[] {
  return mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, place = '', type]) => /^\/proc\/(?!sys\/fs\/binfmt_misc)/.test(place) && type !== 'autofs')
    .map(([, place = '']) => place)
}

function cgroupFinding(facts: HostFacts): Finding {
  const what = 'limits'
  const { controllers, mounts, commandLine, uid } = facts
  const watching = 'memory is limited by watching it, processors are not limited'
  const has = controllers.trim().split(/\s+/)
  const version1 = (name: string) => new RegExp(`^\\S+ \\S+ cgroup [^ ]*\\b${name}\\b`, 'm').test(mounts)
  if (version1('memory') && version1('pids') && uid === 0)
    return { what, verdict: 'good', detail: 'cgroup v1 (v2 is the newer set-up)', hint: '' }
  if (controllers.trim() === '' && !version1('memory')) {
    const hint = 'Mount it (a machine with systemd does), or give the container its own: --cgroupns=private.'
    return { what, verdict: 'warning', detail: `no cgroups: ${watching}`, hint }
  }
  if (!has.includes('memory') && !version1('memory')) {
    const raspberry = /\b(bcm27\d\d|vc_mem|snd_bcm2835)/.test(commandLine)
    const off = /\bcgroup_disable=\S*memory/.test(commandLine)
    const hint = `Add cgroup_enable=memory${off ? ' instead of cgroup_disable=memory' : ''} to ${raspberry ? '/boot/firmware/cmdline.txt' : "the kernel's command line"} and start the machine again.`
    return { what, verdict: 'warning', detail: `this kernel has no memory controller: ${watching}`, hint }
  }
  if (uid !== 0 && !facts.delegated) {
    const hint =
      "Run it as a service with Delegate=yes (`cygnet` as a user's service, or systemd-run --user -p Delegate=yes --scope cygnet up); memory has to be delegated to users: systemctl edit user@.service."
    return { what, verdict: 'warning', detail: `no cgroup is delegated to this user: ${watching}`, hint }
  }
  return { what, verdict: 'good', detail: has.includes('memory') ? 'cgroup v2' : 'cgroup v1', hint: '' }
}

/** What counts when everybody's work has the same uid. */
function neighbourFindings({ uid, sysctl }: HostFacts): Finding[] {
  if (uid === 0) return [{ what: 'users', verdict: 'good', detail: 'everybody has a uid of their own', hint: '' }]
  const found: Finding[] = [
    {
      what: 'users',
      verdict: 'warning',
      detail: "everybody's work has the same uid on this machine, kept apart by namespaces only",
      hint: 'For people who do not know each other, run Cygnet as root: it gives each a uid of their own.',
    },
  ]
  if (sysctl['kernel.yama.ptrace_scope'] === '0')
    found.push({
      what: 'ptrace',
      verdict: 'warning',
      detail: 'programs of this user may look into each other (kernel.yama.ptrace_scope is 0)',
      hint: persistent('kernel.yama.ptrace_scope', '1'),
    })
  return found
}

function noexecFindings({ mounts, programFolders }: HostFacts): Finding[] {
  const points = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, place = '', , options = '']) => ({ place, noexec: options.split(',').includes('noexec') }))
  return programFolders.flatMap((folder) => {
    // The last mount on the longest path that holds the folder is the one that counts.
    const holder = points
      .filter(({ place }) => `${folder}/`.startsWith(place === '/' ? '/' : `${place}/`))
      .reduce((best, each) => (each.place.length >= best.place.length ? each : best), { place: '', noexec: false })
    if (!holder.noexec) return []
    const hint = `mount -o remount,exec ${holder.place}, or choose another place (--home, CYGNET_CACHE).`
    return [{ what: 'programs', verdict: 'bad' as const, detail: `${folder} is mounted noexec`, hint }]
  })
}

function field(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? ''
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldMajor = 0, oldMinor = 0] = oldestBubblewrap.split('.').map(Number)
  return major < oldMajor || (major === oldMajor && minor < oldMinor)
}
