/** Each likely mis-set-up of a machine is found and explained, and a good machine is told nothing but good. */
import { mkdir } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { homeAt } from '../home.ts'
import { gatherHostFacts, limitOf, mountOf, type HostFacts } from './host-facts.ts'
import { hostFindings } from './host-findings.ts'

const healthy: HostFacts = {
  uid: 0,
  folder: '/var/lib/cygnet',
  homeExists: true,
  homeOwnerUid: 0,
  secretsMode: 0o700,
  disk: { freeBytes: 500e9, totalBytes: 1e12, freeInodes: 6e7, totalInodes: 6.1e7 },
  networkFileSystem: undefined,
  mount: { fileSystem: 'ext4', options: ['rw', 'relatime', 'rw'] },
  keepsAttributes: true,
  openFiles: 65_536,
  memory: { totalBytes: 32e9, freeBytes: 16e9 },
  threadsMax: 127_000,
  clockKeeper: 'chronyd',
  commands: { setpriv: true },
  proxy: { url: undefined, exceptions: '' },
  takenPorts: [],
  isRunning: false,
}

test('a machine as it should be gets no advice', () => {
  const findings = hostFindings(healthy)
  expect(findings.filter(({ verdict, hint }) => verdict !== 'good' || hint !== '')).toEqual([])
  expect(findings.length).toBeGreaterThan(3)
})

const misSetUps: [name: string, facts: Partial<HostFacts>, what: string, verdict: string, says: RegExp][] = [
  ['a full disk', { disk: { ...healthy.disk, freeBytes: 1e9 } }, 'disk', 'bad', /--home/],
  ['a nearly full disk', { disk: { ...healthy.disk, freeBytes: 9e9 } }, 'disk', 'warning', /70 GB/],
  ['no inodes', { disk: { ...healthy.disk, freeInodes: 100 } }, 'files on the disk', 'bad', /full of files/],
  ['NFS', { networkFileSystem: 'nfs4' }, 'file system', 'bad', /local disk/],
  ['tmpfs', { mount: { fileSystem: 'tmpfs', options: ['rw'] } }, 'lasting', 'bad', /next start/],
  ["a container's layer", { mount: { fileSystem: 'overlay', options: ['rw'] } }, 'lasting', 'bad', /volume/],
  ['no barriers', { mount: { fileSystem: 'ext4', options: ['rw', 'nobarrier'] } }, 'power cut', 'bad', /fstab/],
  ['noexec', { mount: { fileSystem: 'xfs', options: ['rw', 'noexec'] } }, 'programs', 'bad', /noexec/],
  ['read-only', { mount: { fileSystem: 'ext4', options: ['ro'] } }, 'writing', 'bad', /fsck/],
  ['no attributes', { keepsAttributes: false }, 'attributes', 'warning', /beside the objects/],
  ["somebody else's home", { uid: 1000 }, 'owner', 'bad', /its owner/],
  ['root on a home of a person', { homeOwnerUid: 1000 }, 'owner', 'warning', /as its owner/],
  ['open secrets', { secretsMode: 0o755 }, 'secrets', 'bad', /chmod 700/],
  ['few open files', { openFiles: 1024 }, 'open files', 'warning', /LimitNOFILE/],
  ['little memory', { memory: { totalBytes: 2e9, freeBytes: 1e9 } }, 'memory', 'warning', /0\.35 GB/],
  ['few threads', { threadsMax: 3000 }, 'threads', 'warning', /threads-max/],
  ['nobody keeps the clock', { clockKeeper: undefined }, 'clock', 'warning', /chrony/],
  ['no setpriv', { commands: { setpriv: false } }, 'setpriv', 'warning', /util-linux/],
  [
    'a proxy for everything',
    { proxy: { url: 'http://u:p@proxy:3128', exceptions: '' } },
    'proxy',
    'warning',
    /NO_PROXY/,
  ],
  ['a taken port', { takenPorts: [{ port: 8410, holder: 'nginx (process 7)' }] }, 'port 8410', 'bad', /--port/],
]

test.each(misSetUps)('%s', (_name, facts, what, verdict, says) => {
  const finding = hostFindings({ ...healthy, ...facts }).find((each) => each.what === what)
  expect(finding).toMatchObject({ verdict, hint: expect.stringMatching(says) as string })
  expect(finding!.detail).not.toMatch(/u:p/)
})

test('the facts of this machine can be gathered, and who has a port is named', async () => {
  const { path } = await temporaryDirectory()
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  await mkdir(join(path, 'home'))
  const facts = await gatherHostFacts(homeAt(join(path, 'home', 'of', 'nobody')), [port])
  expect(facts).toMatchObject({ folder: join(path, 'home'), homeExists: false, isRunning: false })
  expect(facts.disk.totalBytes).toBeGreaterThan(0)
  expect(facts.takenPorts).toEqual([{ port, holder: expect.stringContaining(String(process.pid)) as string }])
  expect(facts.openFiles).toBeGreaterThan(0)
})

test('mount points with blanks, prefixes that are no parents, and covered mounts', () => {
  const line = (point: string, fileSystem: string, options = 'rw') =>
    `1 2 8:1 / ${point} ${options} - ${fileSystem} /dev/x rw`
  const table = [
    line('/', 'ext4'),
    line('/data', 'nfs4'),
    line('/my\\040disk', 'xfs'),
    line('/data', 'ext4', 'ro'),
  ].join('\n')
  expect(mountOf('/database/x', table)!.fileSystem).toBe('ext4')
  expect(mountOf('/my disk/home', table)!.fileSystem).toBe('xfs')
  expect(mountOf('/data/home', table)).toMatchObject({ fileSystem: 'ext4', options: ['ro', 'rw'] })
  expect(limitOf('Max open files            1024                 4096                 files', 'Max open files')).toBe(
    1024,
  )
  expect(
    limitOf('Max open files            unlimited            unlimited            files', 'Max open files'),
  ).toBeUndefined()
})
