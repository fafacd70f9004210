import { getAttributeSync, setAttributeSync } from '@napi-rs/xattr'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chownSync,
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  as,
  gids,
  noRealUids,
  openStage,
  ownerOf,
  people,
  personCommand,
  startService,
  type Service,
} from './ownership-testing.ts'

const bucket = 'demo-work'
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const skipped = noRealUids === undefined ? '' : ` (SKIPPED: ${noRealUids})`
const isLong = process.env.CYGNET_LONG === 'storage'
const rounds = isLong ? 10_000 : 120
/** Nothing here may take longer; a hang is longer than anything. */
const hangMs = 30_000

/** Everything about a file that must not change. */
function portraitOf(path: string): unknown {
  const { uid, gid, mode, ino } = lstatSync(path)
  const content = lstatSync(path).isFile() ? readFileSync(path, 'latin1') : readdirSync(path).sort()
  const attributes = ['user.cygnet', 'system.posix_acl_access', 'system.posix_acl_default'].map(
    (name) => getAttributeSync(path, name)?.toString('hex') ?? null,
  )
  return { path, uid, gid, mode, ino, content, attributes }
}

/** Files that belong to others: of the machine, of another experiment, of a person's home; and an empty folder. */
async function treasure(outside: string, service: Service, root: string): Promise<{ paths: string[]; secret: string }> {
  const secret = 'the secret of others'
  const paths = ['shadow', 'passwd', 'private', 'open-folder/shadow', 'open-folder/empty']
  mkdirSync(join(outside, 'open-folder', 'empty'), { recursive: true })
  writeFileSync(join(outside, 'shadow'), secret, { mode: 0o600 })
  writeFileSync(join(outside, 'passwd'), secret, { mode: 0o644 })
  writeFileSync(join(outside, 'private'), secret, { mode: 0o600 })
  chownSync(join(outside, 'private'), people.eve, people.eve)
  writeFileSync(join(outside, 'open-folder', 'shadow'), secret, { mode: 0o600 })
  await service({ do: 'put', bucket: 'other-work', key: 'theirs', content: secret, ownerId: 'eve' })
  return { paths: [...paths.map((name) => join(outside, name)), join(root, 'other-work', 'theirs')], secret }
}

describe.skipIf(noRealUids !== undefined)(`hostile files${skipped}`, () => {
  test('a forged or copied attribute has no effect: the file is foreign, and adopted as what it is', async () => {
    const { service, work } = await openStage()
    await service({ do: 'put', bucket, key: 'good', content: 'good', ownerId: 'alice' })
    const genuine = getAttributeSync(join(work, 'good'), 'user.cygnet')!
    const edited = Buffer.from(genuine)
    edited[edited.length - 20] = edited[edited.length - 20]! ^ 1
    const forgeries = {
      copied: genuine,
      edited,
      empty: Buffer.alloc(0),
      short: Buffer.alloc(9),
      noise: Buffer.alloc(3000, 7),
    }
    for (const [name, attribute] of Object.entries(forgeries)) {
      as('alice', work, `printf evil >${name}`)
      setAttributeSync(join(work, name), 'user.cygnet', attribute)
      expect([name, await service({ do: 'sha256', bucket, key: name })]).toEqual([name, sha256('evil')])
      expect(await service({ do: 'get', bucket, key: name })).toBe('evil')
      expect(getAttributeSync(join(work, name), 'user.cygnet')!.equals(attribute)).toBe(false)
    }
    expect(await service({ do: 'sha256', bucket, key: 'good' })).toBe(sha256('good'))
    // Written in place: size and inode as before, and the genuine attribute still on it.
    as('alice', work, 'sleep 0.02; printf evil >good')
    expect(await service({ do: 'sha256', bucket, key: 'good' })).toBe(sha256('evil'))
  })

  test('links of every kind lead nowhere and change nothing', async () => {
    const { service, root, outside, work } = await openStage()
    const { paths, secret } = await treasure(outside, service, root)
    mkdirSync(join(work, 'mine'))
    chownSync(join(work, 'mine'), people.alice, gids.demo)
    const before = paths.map(portraitOf)
    const script = [
      `ln -s ${outside}/shadow absolute`,
      'ln -s ../../../outside/shadow relative',
      'ln -s absolute chain1 && ln -s chain1 chain2',
      `ln -s ${outside}/open-folder folder`,
      'ln -s /proc/self/root/etc/passwd proc',
      'ln -s loop loop',
      `ln -s ${outside}/not-there dangling`,
    ]
    expect(as('alice', join(work, 'mine'), script.join(' && '))).toBe('')
    const names = ['absolute', 'relative', 'chain1', 'chain2', 'folder/shadow', 'proc', 'loop', 'dangling']
    expect(await service({ do: 'list', bucket })).toEqual([])
    for (const name of names) {
      const key = `mine/${name}`
      expect([key, await service.refusal({ do: 'get', bucket, key })]).toEqual([key, 'storage.no_such_key'])
      expect([key, await service.refusal({ do: 'sha256', bucket, key })]).toEqual([key, 'storage.no_such_key'])
      expect(await service({ do: 'delete', bucket, key })).toEqual({ deleted: false })
    }
    // A PUT replaces the link, never what it points to; below a link to a folder it goes to a place of its own.
    for (const name of names)
      await service({ do: 'put', bucket, key: `mine/${name}`, content: 'own', ownerId: 'alice' })
    for (const name of names) expect(await service({ do: 'get', bucket, key: `mine/${name}` })).toBe('own')
    expect(await service({ do: 'list', bucket })).toHaveLength(names.length)
    expect(paths.map(portraitOf)).toEqual(before)
    expect(existsSync(join(outside, 'not-there'))).toBe(false)
    expect(JSON.stringify(before)).toContain(secret)
  })

  test('a file of others that was hard-linked into a bucket is none of its objects', async () => {
    const { service, root, outside, work } = await openStage()
    const { paths } = await treasure(outside, service, root)
    const files = paths.filter((path) => lstatSync(path).isFile())
    // fs.protected_hardlinks may be off somewhere: then a person could do this.
    for (const [index, path] of files.entries()) linkSync(path, join(work, `hard${index}`))
    const before = paths.map(portraitOf)
    for (const index of files.keys()) {
      const key = `hard${index}`
      for (const what of ['get', 'sha256'] as const)
        expect([key, await service.refusal({ do: what, bucket, key })]).toEqual([key, 'storage.no_such_key'])
    }
    expect(await service({ do: 'list', bucket })).toEqual([])
    const control = startService(root, [])
    await control({ do: 'handOver' })
    expect(paths.map(portraitOf)).toEqual(before)
    // The last name of another experiment's file, or of a secret one, is here now: it still is not this bucket's.
    for (const path of files) if (/shadow|theirs/.test(path)) unlinkSync(path)
    await service({ do: 'put', bucket, key: 'hard0', content: 'own', ownerId: 'alice' })
    expect(await service({ do: 'list', bucket })).toEqual(['hard0'])
    expect(await service({ do: 'get', bucket, key: 'hard0' })).toBe('own')
    // A person's own hard links within the bucket are as good as copies.
    as('alice', work, 'echo a >one && ln one two')
    expect(await service({ do: 'get', bucket, key: 'two' })).toBe('a\n')
  })

  test(
    'FIFOs, sockets and devices are no objects, and nobody waits for them',
    async () => {
      const { service, work } = await openStage()
      as('alice', work, 'mkfifo fifo && mkdir d && mkfifo d/fifo')
      spawnSync('mknod', [join(work, 'null'), 'c', '1', '3'])
      chmodSync(join(work, 'null'), 0o666)
      for (const key of ['fifo', 'd/fifo', 'null', 'fifo/below'])
        expect([key, await service.refusal({ do: 'get', bucket, key })]).toEqual([key, 'storage.no_such_key'])
      expect(await service({ do: 'list', bucket })).toEqual([])
      await service({ do: 'put', bucket, key: 'fifo', content: 'f', ownerId: 'alice' })
      await service({ do: 'put', bucket, key: 'null', content: 'n', ownerId: 'alice' })
      expect(await service({ do: 'list', bucket })).toEqual(['fifo', 'null'])
      expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
    },
    hangMs,
  )

  test('setuid and setgid do not survive being taken in, and reserved names are out of reach', async () => {
    const { service, root, work } = await openStage()
    as(
      'alice',
      work,
      'cp /bin/true tool && chmod 6755 tool && mkdir .cygnet d d/.cygnet && echo x >.cygnet/x && echo y >d/.cygnet/y',
    )
    expect(lstatSync(join(work, 'tool')).mode & 0o4000).toBe(0o4000)
    await service({ do: 'sha256', bucket, key: 'tool' })
    expect(ownerOf(join(work, 'tool'))).toBe(`${people.alice}:${gids.demo} 770`)
    expect(await service({ do: 'list', bucket })).toEqual(['d/.cygnet/y', 'tool'])
    await service({ do: 'put', bucket, key: '.cygnet/x', content: 'attic', ownerId: 'alice' })
    expect(readFileSync(join(work, '.cygnet/x'), 'utf8')).toBe('x\n')
    expect(await service({ do: 'get', bucket, key: '.cygnet/x' })).toBe('attic')
    for (const script of [`ls ${root}/.cygnet`, `cat ${root}/.cygnet/bucket/demo-work.json`, `touch ${root}/x`])
      expect([script, as('alice', work, script)]).toEqual([script, 'failed'])
  })

  test(
    `a person who swaps names in his folder all the time gains nothing (${rounds} rounds of every operation)`,
    async () => {
      const { service, root, outside, work } = await openStage()
      const { paths, secret } = await treasure(outside, service, root)
      await service({ do: 'put', bucket, key: 'mine/d/start', content: 'own', ownerId: 'alice' })
      // What a machine without fs.protected_hardlinks would let a person make.
      mkdirSync(join(work, 'mine', 'stock'))
      chownSync(join(work, 'mine', 'stock'), people.alice, gids.demo)
      for (const [index, path] of paths.filter((each) => lstatSync(each).isFile()).entries())
        linkSync(path, join(work, 'mine', 'stock', `hard${index}`))
      const before = paths.map(portraitOf)
      const swapper = startSwapper(join(work, 'mine'), outside)
      const seen: Record<string, number> = {}
      const count = (what: string) => (seen[what] = (seen[what] ?? 0) + 1)
      for (let round = 0; round < rounds; round += 1) {
        const key = ['mine/d/x', 'mine/d/sub/x', 'mine/d/fifo', 'mine/d/deep/er/x'][round % 4]!
        const content = `own ${round}`
        const orders = [
          { do: round % 5 === 4 ? 'multipart' : 'put', bucket, key, content, ownerId: 'alice' },
          { do: 'get', bucket, key },
          { do: 'list', bucket, prefix: 'mine/d/' },
          { do: 'sha256', bucket, key: 'mine/d/x' },
          { do: 'get', bucket, key: 'mine/d/x' },
          ...(round % 3 === 0 ? [{ do: 'delete', bucket, key }] : []),
          ...(round % 10 === 0 ? [{ do: 'list', bucket }] : []),
        ] as Parameters<Service>[0][]
        for (const order of orders) {
          const answer = await service(order).catch((error: Error) => {
            count(`${order.do} ${/^[\w.]+/.exec(error.message)?.[0]}`)
            return undefined
          })
          if (answer !== undefined) count(`${order.do} done`)
          if (order.do === 'get') expect(answer ?? '').not.toContain(secret)
        }
      }
      const swaps = await swapper.stop()
      expect(paths.map(portraitOf)).toEqual(before)
      expect(readdirSync(outside).sort()).toEqual(['open-folder', 'passwd', 'private', 'shadow'])
      expect(readdirSync(join(outside, 'open-folder')).sort()).toEqual(['empty', 'shadow'])
      expect(readdirSync(join(root, 'other-work'))).toEqual(['theirs'])
      // The race took place, from both sides.
      expect(swaps).toBeGreaterThan(rounds)
      expect(seen['put done'] ?? 0).toBeGreaterThan(rounds / 20)
      expect(Object.keys(seen).filter((what) => /internal|ended/.test(what))).toEqual([])
      if (isLong)
        process.stdout.write(`campaign hostile-files rounds=${rounds} swaps=${swaps} ${JSON.stringify(seen)}\n`)
    },
    isLong ? 3_600_000 : 120_000,
  )
})

/** Swaps folders and files for links, other people's files, FIFOs, and back, as fast as it can, as alice. */
function startSwapper(folder: string, outside: string) {
  const script = `
import os, shutil, sys, time, itertools
folder, outside = sys.argv[1:3]
os.chdir(folder)
count = 0
def attempt(call, *names):
    global count
    try:
        call(*names)
        count += 1
    except OSError:
        pass
def swapped(name, put):
    attempt(os.rename, name, "away")
    attempt(put)
    attempt(os.unlink, name)
    attempt(os.rename, "away", name)
    # Somebody made it again meanwhile.
    shutil.rmtree("away", ignore_errors=True)
stopped = False
def stop(*_):
    global stopped
    stopped = True
import signal
signal.signal(signal.SIGTERM, stop)
parent = os.getppid()
for number in itertools.count():
    if stopped or os.getppid() != parent:
        break
    kind = number % 8
    time.sleep(0.0003)
    if kind == 0:
        swapped("d", lambda: os.symlink(outside + "/open-folder", "d"))
    elif kind == 1:
        attempt(os.symlink, outside + "/shadow", "tmp"); attempt(os.rename, "tmp", "d/x")
    elif kind == 2:
        for name in os.listdir("stock"):
            attempt(os.rename, "stock/" + name, "d/x"); attempt(os.rename, "d/x", "stock/" + name)
    elif kind == 3:
        attempt(os.mkfifo, "d/fifo"); swapped("d", lambda: os.mkfifo("d"))
    elif kind == 4:
        swapped("d/sub", lambda: os.symlink(outside + "/open-folder", "d/sub"))
    elif kind == 5:
        swapped("d/deep/er", lambda: os.symlink(outside, "d/deep/er"))
    elif kind == 6:
        attempt(os.unlink, "d/x")
        try:
            with open("d/x", "w") as file: file.write("own file")
            os.utime("d/x", (1, 1))
        except OSError: pass
    else:
        attempt(os.mkdir, "d/sub"); attempt(os.chmod, "d/sub", 0o700); attempt(os.chmod, "d/x", 0o600)
print(count, flush=True)
`
  const [program, ...rest] = [...personCommand('alice'), '/usr/bin/python3', '-c', script, folder, outside]
  const child = spawn(program!, rest, { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    async stop(): Promise<number> {
      child.kill('SIGTERM')
      await ended
      return Number(said.trim().split('\n').at(-1))
    },
  }
}
