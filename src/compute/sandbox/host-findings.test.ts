/** Facts as such hosts give them, and what is said about each. */
import { describe, expect, test } from 'vitest'
import { gatherHostFacts } from './host-facts.ts'
import { isolationFindings, type HostFacts } from './host-findings.ts'

const allCapabilities = 'CapEff:\t000001ffffffffff\nSeccomp:\t0\n'
const dockerDefault = 'CapEff:\t00000000a80425fb\nSeccomp:\t2\n'
const v2 = 'proc /proc proc rw,nosuid 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n'
const masked = `overlay / overlay rw,lowerdir=/var/lib/docker/overlay2/l/A:/B 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
proc /proc/bus proc ro,nosuid,nodev,noexec,relatime 0 0
proc /proc/sysrq-trigger proc ro,nosuid,nodev,noexec,relatime 0 0
tmpfs /proc/kcore tmpfs rw,nosuid,size=65536k,mode=755 0 0
cgroup /sys/fs/cgroup cgroup2 ro,nosuid,nodev,noexec,relatime 0 0
`

/** Debian 12, root, everything as it should be. */
const good: HostFacts = {
  uid: 0,
  sysctl: { 'user.max_user_namespaces': '63432', 'kernel.unprivileged_userns_clone': '1' },
  status: allCapabilities,
  cgroup: '0::/system.slice/cygnet.service\n',
  mounts: `/dev/sda1 / ext4 rw,relatime 0 0\n${v2}`,
  commandLine: 'BOOT_IMAGE=/boot/vmlinuz-6.1.0-18-amd64 root=/dev/sda1 ro quiet',
  controllers: 'cpuset cpu io memory hugetlb pids rdma misc\n',
  delegated: true,
  containerMarks: [],
  bubblewraps: [{ path: '/usr/bin/bwrap', version: '0.8.0', setuid: false }],
  programFolders: ['/var/lib/cygnet', '/var/cache/cygnet'],
  trial: undefined,
}
const refused = 'bwrap: setting up uid map: Permission denied'

const hosts: Record<string, { facts: Partial<HostFacts>; said: [what: string, verdict: string, words: RegExp][] }> = {
  'Ubuntu 24.04 with its AppArmor': {
    facts: {
      sysctl: { 'kernel.apparmor_restrict_unprivileged_userns': '1', 'kernel.unprivileged_userns_clone': '1' },
      trial: refused,
    },
    said: [
      ['user namespaces', 'bad', /AppArmor.*bwrap-userns-restrict.*kernel.apparmor_restrict_unprivileged_userns=0/],
      ['bubblewrap', 'bad', /setting up uid map/],
    ],
  },
  'RHEL 7 with no user namespaces': {
    facts: { sysctl: { 'user.max_user_namespaces': '0' }, trial: 'bwrap: No permissions to create new namespace' },
    said: [['user namespaces', 'bad', /user.max_user_namespaces is 0.*sysctl -w user.max_user_namespaces=15000/]],
  },
  'Debian 10': {
    facts: {
      sysctl: { 'kernel.unprivileged_userns_clone': '0' },
      bubblewraps: [{ path: '/usr/bin/bwrap', version: '0.3.1', setuid: true }],
      trial: 'No permissions',
    },
    said: [
      ['user namespaces', 'bad', /only root.*kernel.unprivileged_userns_clone=1/],
      ['bubblewrap', 'warning', /is setuid.*chmod u-s/],
    ],
  },
  'an old bubblewrap, the wheel in its place': {
    facts: { bubblewraps: [{ path: '/usr/bin/bwrap', version: '0.4.1', setuid: false }] },
    said: [['bubblewrap', 'good', /is 0\.4\.1; 0\.8\.0 is needed; the one of the Python package index is used/]],
  },
  'no bubblewrap and no network': {
    facts: { bubblewraps: [], trial: 'bubblewrap is not installed and could not be fetched' },
    said: [['bubblewrap', 'warning', /not installed.*apt-get install bubblewrap/]],
  },
  Docker: {
    facts: { status: dockerDefault, mounts: masked, cgroup: '0::/\n', containerMarks: ['/.dockerenv'], trial: refused },
    said: [
      [
        'container',
        'bad',
        /Docker with no CAP_SYS_ADMIN; a system call filter.*\/proc are masked \(\/proc\/bus.*systempaths=unconfined/,
      ],
    ],
  },
  'Docker as it should be': {
    facts: { cgroup: '0::/docker/abc\n', containerMarks: ['/.dockerenv'] },
    said: [['container', 'good', /the sandbox works in it/]],
  },
  'Podman, rootless': {
    facts: {
      status: 'CapEff:\t00000000800405fb\nSeccomp:\t2\n',
      mounts: masked,
      containerMarks: ['/run/.containerenv'],
      trial: refused,
    },
    said: [['container', 'bad', /Podman.*unmask=ALL/]],
  },
  Kubernetes: {
    facts: {
      status: dockerDefault,
      mounts: masked,
      cgroup: '0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-1.scope\n',
      containerMarks: ['/var/run/secrets/kubernetes.io'],
      trial: refused,
    },
    said: [['container', 'bad', /Kubernetes.*procMount: Unmasked/]],
  },
  LXC: {
    facts: { mounts: `lxcfs /proc/cpuinfo fuse.lxcfs rw 0 0\n${v2}`, trial: refused },
    said: [['container', 'bad', /LXC.*security.nesting=true/]],
  },
  'Raspberry Pi OS': {
    facts: {
      controllers: 'cpuset cpu io pids\n',
      commandLine:
        'coherent_pool=1M 8250.nr_uarts=0 snd_bcm2835.enable_headphones=0 vc_mem.mem_base=0x3ec00000 cgroup_disable=memory',
    },
    said: [
      [
        'limits',
        'warning',
        /no memory controller.*cgroup_enable=memory instead of cgroup_disable=memory to \/boot\/firmware\/cmdline.txt/,
      ],
    ],
  },
  'an ordinary user without a delegation': {
    facts: { uid: 1000, delegated: false, sysctl: { 'kernel.yama.ptrace_scope': '0' } },
    said: [
      ['limits', 'warning', /no cgroup is delegated.*Delegate=yes/],
      ['users', 'warning', /same uid.*run Cygnet as root/],
      ['ptrace', 'warning', /ptrace_scope is 0.*ptrace_scope=1/],
    ],
  },
  'a machine without any cgroup': {
    facts: { controllers: '', mounts: 'proc /proc proc rw 0 0\n' },
    said: [['limits', 'warning', /no cgroups/]],
  },
  'a hybrid of v1 and v2': {
    facts: {
      controllers: 'hugetlb\n',
      mounts:
        'cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n',
    },
    said: [['limits', 'good', /cgroup v1/]],
  },
  'a home that runs nothing': {
    facts: {
      mounts: `/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /var/lib ext4 rw,noexec 0 0\n${v2}`,
      programFolders: ['/var/library/x', '/var/lib/cygnet'],
    },
    said: [['programs', 'bad', /\/var\/lib\/cygnet is mounted noexec.*remount,exec \/var\/lib/]],
  },
}

describe('what is said about a machine', () => {
  test('a good one has only good lines', () => {
    expect(isolationFindings(good).map(({ verdict }) => verdict)).toEqual(['good', 'good', 'good', 'good'])
  })

  test.each(Object.entries(hosts))('%s', (_name, { facts, said }) => {
    const findings = isolationFindings({ ...good, ...facts })
    for (const [what, verdict, words] of said) {
      const found = findings.find((finding) => finding.what === what)
      expect(found, what).toBeDefined()
      expect(`${found!.detail} ${found!.hint}`).toMatch(words)
      expect(found!.verdict).toBe(verdict)
    }
    // Nothing that is wrong is left without a word about what to do.
    for (const { verdict, hint } of findings) if (verdict !== 'good') expect(hint.length).toBeGreaterThan(10)
  })

  test('this machine is looked at without harm', async () => {
    const facts = await gatherHostFacts({ searchPath: process.env.PATH ?? '', programFolders: ['/usr'], trial: null })
    expect(facts.status).toContain('CapEff')
    expect(isolationFindings(facts).map(({ what }) => what)).toEqual(
      expect.arrayContaining(['bubblewrap', 'user namespaces', 'limits']),
    )
  })
})
