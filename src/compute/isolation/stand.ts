/**
 * A room with real sandboxes and hostile payloads, for the tests beside it and for the same things done as an ordinary
 * user (`ordinary-user.ts`).
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { openDatabase } from '../../foundation/database.ts'
import type { Job } from '../contract.ts'
import type { JobSpec, Launch } from '../model.ts'
import { refusedCalls } from '../sandbox/syscall-filter.ts'
import { commandSpec, openTestRoom, type TestRoom, type TestRoomOptions } from '../testing.ts'

export interface Stand extends TestRoom {
  folder: string
  /** Runs Python in a sandbox to its end. */
  run(script: string, more?: Hostile): Promise<{ job: Job; log: string }>
  /** Starts it and answers at once. */
  begin(script: string, more?: Hostile): Promise<Job>
  logOf(job: Job): Promise<string>
  close(): Promise<void>
}

export interface Hostile {
  files?: Launch['files']
  arguments?: string[]
  environment?: Record<string, string>
  limits?: Launch['limits']
  network?: Launch['network']
  directory?: string
  session?: boolean
  spec?: Partial<JobSpec>
}

/** `folder` must be passable for the platform's uids (0711). */
export async function openStand(folder: string, options: TestRoomOptions = {}): Promise<Stand> {
  const database = await openDatabase({ url: `sqlite:${join(folder, 'test.sqlite')}` })
  const room = await openTestRoom(database, folder, options)
  const hostile = new Map<string, { script: string } & Hostile>()
  room.compute.registerKind('hostile', {
    async prepare(job) {
      const { script, ...more } = hostile.get((job.payload as { name: string }).name)!
      return {
        argv: ['/usr/bin/python3', '/run/cygnet/hostile.py', ...(more.arguments ?? [])],
        mounts: [],
        environment: more.environment ?? {},
        network: more.network ?? 'none',
        files: [{ name: 'hostile.py', content: script }, ...(more.files ?? [])],
        ...(more.limits && { limits: more.limits }),
        ...(more.directory !== undefined && { directory: more.directory }),
        ...(more.session === true && { session: true }),
      }
    },
  })
  await room.compute.start()
  const stand: Stand = {
    ...room,
    folder,
    async begin(script, more = {}) {
      const name = String(hostile.size)
      hostile.set(name, { script, ...more })
      return await room.submit({ ...commandSpec(['python3']), kind: 'hostile', payload: { name }, ...more.spec })
    },
    async run(script, more) {
      const { id } = await stand.begin(script, more)
      const job = await room.compute.ended(id)
      return { job, log: await stand.logOf(job) }
    },
    logOf: (job) => readFile(join(room.compute.folderOf(job.id, job.attempt), 'log'), 'utf8').catch(() => ''),
    async close() {
      const { items } = await room.compute.list({ experiment: 'demo', limit: 500 })
      const living = items.filter(({ endedMs }) => endedMs === null)
      for (const { id } of living) await room.compute.cancel(id)
      for (const { id } of living) await room.compute.ended(id)
      await room.compute.close()
      await database.close()
    },
  }
  return stand
}

/** What the probe found, as probe.py prints it. */
export interface ProbeReport {
  paths: Record<string, string | string[]>
  writes: Record<string, string>
  calls: Record<string, string>
  tricks: Record<string, string | string[]>
  network: Record<string, unknown> & { interfaces: string[]; sockets: Record<string, string> }
  process: Record<string, unknown> & { environment: string[]; descriptors: string[]; groups: number[] }
}

/** Places of a machine and of an installation that no payload may see. */
const hostPaths =
  `/etc/shadow /etc/gshadow /etc/sudoers /etc/ssh /etc/hostname /etc/machine-id /etc/crontab /etc/environment
/etc/fstab /etc/docker /etc/kubernetes /root /root/.ssh /boot /srv /opt /mnt /media /lost+found /.dockerenv /var /var/lib
/var/run /var/log /var/lib/cygnet /var/cache /run/docker.sock /run/dbus /run/systemd /run/user /run/secrets /sys
/sys/fs/cgroup /sys/kernel /sys/firmware /dev/mem /dev/kmem /dev/kmsg /dev/port /dev/sda /dev/vda /dev/loop0
/dev/loop-control /dev/fuse /dev/kvm /dev/net /dev/vhost-vsock /dev/mapper /dev/disk /dev/tty1 /dev/snd /dev/dri
/dev/input /dev/mqueue /dev/hugepages /proc/1/root/etc/shadow /proc/1/cwd/etc/shadow /proc/self/root/etc/shadow
/proc/thread-self/root/root /out/../../etc/shadow /tmp/../root /home/bob /home/alice/../bob /data/other-raw /data/..%2fother-raw
/proc/kmsg /proc/sys/kernel/cad_pid`.split(/\s+/)

/** Places whose writing would change the machine or other payloads. */
const writePaths =
  `/proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hostname
/proc/sys/vm/drop_caches /proc/sys/net/ipv4/ip_forward /proc/sys/fs/binfmt_misc/register /proc/irq/0/smp_affinity
/proc/1/oom_score_adj /proc/self/uid_map /proc/self/setgroups /proc/acpi /usr/x /usr/bin/env /etc/passwd /etc/x /x /run/x
/run/cygnet/x /run/cygnet/hostile.py /home/x /data/x /dev/x /dev/full/x /bin/x`.split(/\s+/)

/**
 * Runs the probe beside traps set on the host: a listening port, an abstract socket, a socket and files of the
 * installation, another person's readable home.
 */
export async function probe(stand: Stand, network: 'none' | 'gateway' = 'gateway'): Promise<ProbeReport> {
  const { home } = stand
  const traps = [
    join(home, 'secrets', 'key'),
    join(home, 'homes', 'bob', 'open-to-all'),
    join(home, 'database', 'cygnet.sqlite'),
    join(home, 'jobs', '0000.1', 'private', 'token'),
  ]
  for (const trap of traps) {
    await mkdir(join(trap, '..'), { recursive: true, mode: 0o755 })
    await writeFile(trap, 'secret', { mode: 0o644 })
  }
  const abstract = `cygnet-${process.pid}-${Math.random()}`
  const controlSocket = join(home, 'run', 'control.sock')
  const servers = [await listening(0), await listening(`\0${abstract}`), await listening(controlSocket)]
  const { port } = servers[0]!.address() as { port: number }
  const { refused = {}, clone = 0 } = refusedCalls(process.arch) ?? {}
  const plan = {
    paths: [...hostPaths, ...traps, home, stand.folder, join(home, 'run', 'snapshot.json'), '/home', '/run', '/data'],
    writes: writePaths,
    calls: refused,
    clone,
    port,
    abstract,
    sockets: [controlSocket, '/run/docker.sock', '/run/dbus/system_bus_socket', '/run/gateway/control.sock'],
  }
  try {
    const { job, log } = await stand.run(await readFile(join(import.meta.dirname, 'probe.py'), 'utf8'), {
      files: [{ name: 'plan.json', content: JSON.stringify(plan) }],
      arguments: ['/run/cygnet/plan.json'],
      network,
    })
    if (job.state !== 'done') throw new Error(`the probe ${job.state}: ${job.reason}\n${log}`)
    return JSON.parse(log.trim().split('\n').at(-1)!) as ProbeReport
  } finally {
    for (const server of servers) server.close()
  }
}

async function listening(place: number | string): Promise<Server> {
  const server = createServer((socket) => socket.end('host'))
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    if (typeof place === 'number') server.listen(place, '127.0.0.1', done)
    else if (place.startsWith('\0')) server.listen(place, done)
    else server.listen({ path: place, readableAll: true, writableAll: true }, done)
  })
  return server
}
