import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { migrate, openDatabase, transact } from './database.ts'
import { networkMountOf } from './files.ts'
import { rounds, temporaryDirectory } from './testing.ts'

/** A database of some pages, closed; its file. */
async function someDatabase(folder: string, rows = 2_000): Promise<string> {
  const path = join(folder, 'some.sqlite')
  await using database = await openDatabase({ url: `sqlite:${path}` })
  await migrate(database, [])
  await transact(database, async (trx) => {
    for (let n = 1; n <= rows; n++) {
      await trx
        .insertInto('fact')
        .values({ sequence: n, kind: 'k', subject: `subject ${n}`, data: '{"a":"b"}', at_ms: n })
        .execute()
    }
  })
  return path
}

test('a damaged file is refused in words, and is left as it is', async () => {
  await using folder = await temporaryDirectory()
  const path = await someDatabase(folder.path)
  const whole = await readFile(path)
  const damages: [string, (bytes: Buffer) => Buffer][] = [
    ['no header', (bytes) => (bytes.fill(0, 0, 16), bytes)],
    ['cut off', (bytes) => bytes.subarray(0, bytes.length / 2)],
    ['a page of zeros', (bytes) => (bytes.fill(0, 3 * 4096, 4 * 4096), bytes)],
    ['a page of noise', (bytes) => (bytes.fill(0xa5, 5 * 4096, 6 * 4096), bytes)],
    ['a letter', () => Buffer.from('Dear database, this is a letter.'.repeat(50))],
  ]
  for (const [what, damage] of damages) {
    const damaged = damage(Buffer.from(whole))
    await writeFile(path, damaged)
    await expect(openDatabase({ url: `sqlite:${path}`, exclusive: true }), what).rejects.toMatchObject({
      code: 'foundation.database_damaged',
      detail: expect.stringContaining(path),
      hint: expect.stringContaining('copies'),
    })
    expect(damaged.equals(await readFile(path)), what).toBe(true)
    // Looking at it may leave an empty log beside it.
    for (const name of await readdir(folder.path)) {
      if (name.endsWith('-wal')) expect((await stat(join(folder.path, name))).size).toBe(0)
    }
  }
  await writeFile(path, whole)
  await (await openDatabase({ url: `sqlite:${path}`, exclusive: true })).close()
})

test('damage met while running stops the process from writing', async () => {
  await using folder = await temporaryDirectory()
  const path = await someDatabase(folder.path)
  const told: string[] = []
  await using database = await openDatabase({ url: `sqlite:${path}`, onUnsafe: ({ code }) => told.push(code) })
  const file = await open(path, 'r+')
  const { size } = await file.stat()
  for (let page = 2; page < size / 4096; page++) await file.write(Buffer.alloc(4096, 0xa5), 0, 4096, page * 4096)
  await file.close()
  await expect(database.kysely.selectFrom('fact').selectAll().execute()).rejects.toMatchObject({
    code: 'foundation.database_damaged',
  })
  expect(told).toEqual(['foundation.database_damaged'])
})

const asRoot = process.getuid?.() === 0
const mayMount = asRoot && spawnSync('unshare', ['--mount', 'true']).status === 0

test.skipIf(!mayMount)(
  `a full disk refuses a write and nothing else, until there is room${mayMount ? '' : ' [skipped: needs root and mount]'}`,
  async () => {
    await using folder = await temporaryDirectory('cygnet-full-')
    const disk = join(folder.path, 'disk')
    await mkdir(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk])
    try {
      const told: unknown[] = []
      await using database = await openDatabase({
        url: `sqlite:${join(disk, 'd.sqlite')}`,
        exclusive: true,
        onUnsafe: (fault) => told.push(fault),
      })
      await migrate(database, [])
      let acknowledged = 0
      const write = async (bytes: number) =>
        await transact(database, async (trx) => {
          const row = { sequence: acknowledged + 1, kind: 'k', subject: 's', data: 'x'.repeat(bytes), at_ms: 1 }
          await trx.insertInto('fact').values(row).execute()
        }).then(() => (acknowledged += 1))
      let refusal: unknown
      while (refusal === undefined) await write(20_000).catch((error: unknown) => (refusal = error))
      expect(refusal).toMatchObject({ code: 'foundation.disk_full', status: 507, retry: true })
      // Reading goes on; every acknowledged row is there; nothing is half written.
      for (let budget = 0; budget < rounds(8, 60); budget++) {
        await writeFile(join(disk, 'ballast'), Buffer.alloc(3000 + 517 * budget)).catch(() => {})
        await write(200 + 700 * budget).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'foundation.disk_full' })
        })
        await rm(join(disk, 'ballast'), { force: true })
        expect(await database.kysely.selectFrom('fact').select('sequence').execute()).toHaveLength(acknowledged)
      }
      expect((await sql`pragma integrity_check`.execute(database.kysely)).rows).toEqual([{ integrity_check: 'ok' }])
      execFileSync('mount', ['-o', 'remount,size=16m', disk])
      for (let n = 0; n < 20; n++) await write(20_000)
      expect(await database.kysely.selectFrom('fact').select('sequence').execute()).toHaveLength(acknowledged)
      expect(told).toEqual([])
    } finally {
      execFileSync('umount', ['-l', disk])
    }
  },
)

test('a long reader does not let the write-ahead log grow for good', async () => {
  await using folder = await temporaryDirectory()
  const path = await someDatabase(folder.path, 1)
  await using database = await openDatabase({ url: `sqlite:${path}`, exclusive: true })
  const write = async (times: number) => {
    for (let n = 0; n < times; n++) {
      await transact(database, async (trx) => {
        await trx
          .updateTable('fact')
          .set({ data: `${n}`.repeat(500_000) })
          .execute()
      })
    }
  }
  const reader = new DatabaseSync(path, { readOnly: true })
  reader.exec('begin; select * from fact')
  await write(150)
  const walBytes = async () => (await stat(`${path}-wal`)).size
  expect(await walBytes()).toBeGreaterThan(70_000_000)
  reader.exec('commit')
  reader.close()
  await write(3)
  expect(await walBytes()).toBeLessThanOrEqual(64 * 1024 * 1024 + 2_000_000)
})

const strace = spawnSync('strace', ['-V']).status === 0

test.skipIf(!strace)(
  `every commit syncs the log; one whose sync fails is not acknowledged and ends the writing${strace ? '' : ' [skipped: no strace]'}`,
  { timeout: 120_000 },
  async () => {
    await using folder = await temporaryDirectory()
    const path = await someDatabase(folder.path, 1)
    const program = `
      import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, 'database.ts'))}
      const database = await openDatabase({ url: ${JSON.stringify(`sqlite:${path}`)}, exclusive: true, onUnsafe: () => {
        process.stdout.write('unsafe\\n')
        process.exit(1)
      } })
      process.stdout.write('open\\n')
      for (let n = 100; n < 120; n++) {
        await database.kysely.insertInto('fact').values({ sequence: n, kind: 'k', subject: 's', data: 'd', at_ms: 1 }).execute()
        process.stdout.write(n + '\\n')
      }
      process.exit(0)`
    const run = async (inject: string[]) => {
      const child = spawn(
        'strace',
        [
          '-f',
          '-qq',
          '-o',
          '/dev/null',
          '-e',
          'trace=fsync,fdatasync',
          ...inject,
          process.execPath,
          '--input-type=module',
          '-e',
          program,
        ],
        { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] },
      )
      let said = ''
      child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
      await once(child, 'close')
      return said.trim().split('\n')
    }
    const present = () => {
      const file = new DatabaseSync(path, { readOnly: true })
      try {
        return file
          .prepare('select sequence from fact where sequence >= 100')
          .all()
          .map((row) => String(row.sequence))
      } finally {
        file.close()
      }
    }
    let refused = 0
    for (let k = 1; k <= rounds(4, 25); k++) {
      const said = await run(['-e', `inject=fsync,fdatasync:error=EIO:when=${k}+`])
      if (said.at(-1) === 'unsafe') refused += 1
      const acknowledged = said.filter((line) => /^\d+$/.test(line))
      // The disk failed for good at the k-th sync: nothing was acknowledged from there on.
      expect(acknowledged.length).toBeLessThan(k)
      for (const n of acknowledged) expect(present()).toContain(n)
      const file = new DatabaseSync(path)
      file.exec('delete from fact where sequence >= 100')
      file.close()
    }
    expect(refused).toBeGreaterThan(1)
  },
)

test('mount tables tell network disks from local ones', () => {
  const table = `
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /proc rw,nosuid - proc proc rw
41 22 0:36 / /home rw,relatime shared:20 - nfs4 server.example.org:/export/home rw,vers=4.2,proto=tcp
42 22 0:37 / /mnt/old rw - nfs server:/old rw,vers=3
43 22 0:38 / /mnt/win\\040share rw,relatime - cifs //server/share rw,vers=3.1.1
44 22 0:39 / /mnt/ssh rw,nosuid,nodev - fuse.sshfs me@server: rw,user_id=0,group_id=0
45 22 0:40 / /lustre rw - lustre 10.0.0.1@tcp:/scratch rw,flock
46 22 0:41 / /beegfs rw - beegfs beegfs_nodev rw,cfgFile=/etc/beegfs/client.conf
47 22 0:42 / /ceph rw,noatime - ceph 10.0.0.1:6789:/ rw,name=admin
48 22 0:43 / /ceph-fuse rw - fuse.ceph-fuse ceph-fuse rw
49 22 0:44 / /mnt/host rw,sync - 9p C:\\134 rw,dirsync
50 22 0:45 / /gluster rw - fuse.glusterfs server:/volume rw
51 22 0:46 / /s3 rw - fuse.rclone remote: rw
52 22 0:47 / /var/lib/containers/merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
53 22 0:48 / /tank rw - zfs tank rw
54 22 0:49 / /usb rw - fuseblk /dev/sdb1 rw
55 22 0:50 / /tmp rw - tmpfs tmpfs rw
56 41 254:1 / /home/local rw - xfs /dev/vdb rw
57 56 0:51 / /home/local rw - nfs4 server:/over rw
58 22 0:52 / /data rw - nfs4 server:/data rw
59 58 254:2 / /data rw - btrfs /dev/vdc rw
60 22 0:53 / /merged rw - fuse.mergerfs a:b rw
61 22 0:54 / /afs rw - afs #root.cell. rw
`
  const kinds: Record<string, string | undefined> = {
    '/var/lib/cygnet': undefined,
    '/home': 'nfs4',
    '/home/me/.local/share/cygnet': 'nfs4',
    '/homes/me': undefined,
    '/mnt/old/x': 'nfs',
    '/mnt/win share/x': 'cifs',
    '/mnt/ssh/x': 'fuse.sshfs',
    '/lustre/cygnet': 'lustre',
    '/beegfs/cygnet': 'beegfs',
    '/ceph/cygnet': 'ceph',
    '/ceph-fuse/cygnet': 'fuse.ceph-fuse',
    '/mnt/host/x': '9p',
    '/gluster/x': 'fuse.glusterfs',
    '/s3/x': 'fuse.rclone',
    '/var/lib/containers/merged/home': undefined,
    '/tank/x': undefined,
    '/usb/x': undefined,
    '/tmp/x': undefined,
    '/home/local/x': 'nfs4',
    '/data/x': undefined,
    '/merged/x': undefined,
    '/afs/cell': 'afs',
  }
  for (const [path, kind] of Object.entries(kinds)) expect(networkMountOf(table, path), path).toBe(kind)
})
