import { getAttributeSync } from '@napi-rs/xattr'
import { chownSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  as,
  gatewayCommand,
  gids,
  noRealUids,
  numbers,
  openStage,
  ownerOf,
  people,
  serviceUid,
  stage,
  startService,
} from './ownership-testing.ts'
import { aclBytes, defaultAcl } from './posix-acl.ts'

const bucket = 'demo-work'
const skipped = noRealUids === undefined ? '' : ` (SKIPPED: ${noRealUids})`

test('an ACL is what the kernel takes', () => {
  const bytes = aclBytes({ owner: 7, owningGroup: 5, group: { gid: 1_000_001, rights: 7 } })
  expect(bytes.toString('hex')).toBe(
    [
      '02000000',
      '01000700ffffffff',
      '04000500ffffffff',
      '0800070041420f00',
      '10000700ffffffff',
      '20000000ffffffff',
    ].join(''),
  )
})

describe.skipIf(noRealUids !== undefined)(`files belong to people${skipped}`, () => {
  test('the storage of a gateway has three capabilities and no way to more', async () => {
    const { service } = await openStage()
    const status = readFileSync(`/proc/${service.process.pid}/status`, 'utf8')
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(new RegExp(`^${set}:\\s*(\\w+)$`, 'm').exec(status)?.[1]).toBe('000000000000000b')
    expect(status).toMatch(/^NoNewPrivs:\s*1$/m)
    expect(status).toMatch(new RegExp(`^Uid:\\s*${serviceUid}\\s`, 'm'))
  })

  test('objects and folders get their owner, group and mode, by PUT and by parts', async () => {
    const { service, root, work } = await openStage()
    await service({ do: 'put', bucket, key: 'a/b/x', content: 'x', ownerId: 'alice', may: 'replace' })
    await service({ do: 'multipart', bucket, key: 'a/c/y', content: 'y', ownerId: 'bruno' })
    await service({ do: 'put', bucket, key: 'job', content: 'j' })
    await service({ do: 'put', bucket: 'demo-reco', key: 'a/r', content: 'r', ownerId: 'alice' })
    await service({ do: 'put', bucket: 'demo-raw', key: 'a/run', content: 'r', ownerId: 'alice', may: 'create' })
    await service({ do: 'put', bucket: 'demo-raw', key: 'a/machine', content: 'r', ownerId: 'a-daq', may: 'create' })
    await service({ do: 'put', bucket: 'demo-raw', key: 'a/admin', content: 'r', ownerId: 'bruno', may: 'replace' })
    const { demo } = gids
    const found = (name: string) => [name, ownerOf(join(root, name))]
    expect(
      ['demo-work', 'demo-work/a', 'demo-work/a/b', 'demo-work/a/b/x', 'demo-work/a/c/y', 'demo-work/job'].map(found),
    ).toEqual([
      ['demo-work', `${serviceUid}:${demo} 2770`],
      ['demo-work/a', `${people.alice}:${demo} 2770`],
      ['demo-work/a/b', `${people.alice}:${demo} 2770`],
      ['demo-work/a/b/x', `${people.alice}:${demo} 660`],
      ['demo-work/a/c/y', `${people.bruno}:${demo} 660`],
      ['demo-work/job', `${serviceUid}:${demo} 660`],
    ])
    expect(
      [
        'demo-reco',
        'demo-reco/a',
        'demo-reco/a/r',
        'demo-raw/a',
        'demo-raw/a/run',
        'demo-raw/a/machine',
        'demo-raw/a/admin',
      ].map(found),
    ).toEqual([
      ['demo-reco', `${serviceUid}:${demo} 2750`],
      ['demo-reco/a', `${serviceUid}:${demo} 2750`],
      ['demo-reco/a/r', `${people.alice}:${demo} 440`],
      ['demo-raw/a', `${serviceUid}:${demo} 2750`],
      ['demo-raw/a/run', `${serviceUid}:${demo} 440`],
      ['demo-raw/a/machine', `${serviceUid}:${demo} 440`],
      ['demo-raw/a/admin', `${people.bruno}:${demo} 440`],
    ])
    expect(getAttributeSync(join(work, 'a/b'), defaultAcl)).not.toBeNull()
    expect(await service({ do: 'get', bucket, key: 'a/b/x' })).toBe('x')
  })

  test('members change, replace and delete what others put there; a guest reads; others come to nothing', async () => {
    const { service, root, work } = await openStage()
    for (const key of ['d/one', 'd/two', 'd/three'])
      await service({ do: 'put', bucket, key, content: key, ownerId: 'alice' })
    expect(as('bruno', work, 'echo more >>d/one && cat d/one')).toBe('d/onemore')
    expect(as('bruno', work, 'echo new >d/.tmp && mv -f d/.tmp d/two && cat d/two')).toBe('new')
    expect(as('bruno', work, 'rm d/three && mkdir d/sub && echo s >d/sub/s')).toBe('')
    expect(await service({ do: 'list', bucket })).toEqual(['d/one', 'd/sub/s', 'd/two'])
    expect(await service({ do: 'get', bucket, key: 'd/two' })).toBe('new\n')

    expect(as('gina', work, 'cat d/one d/sub/s')).toBe('d/onemore\ns')
    for (const attempt of ['echo x >>d/one', 'rm -f d/one', 'touch d/g', 'mv d/one d/o', 'mkdir m', 'chmod 777 d/one'])
      expect([attempt, as('gina', work, attempt)]).toEqual([attempt, 'failed'])

    expect(as('eve', work, `cat "${work}/d/one" || ls "${work}"`)).toBe('failed')
    for (const path of ['d', 'd/sub']) {
      const leaked = openSync(join(work, path), 'r')
      const tries = 'cat /proc/self/fd/3/one || cat /proc/self/fd/3/s || ls /proc/self/fd/3/ || touch /proc/self/fd/3/e'
      expect(as('eve', '/', tries, leaked)).toBe('failed')
      closeSync(leaked)
    }
    const raw = join(root, 'demo-raw')
    await service({ do: 'put', bucket: 'demo-raw', key: 'r/run', content: 'run', ownerId: 'alice', may: 'create' })
    for (const name of ['alice', 'bruno', 'gina'] as const) {
      expect(as(name, raw, 'cat r/run')).toBe('run')
      for (const attempt of ['echo x >>r/run', 'chmod u+w r/run', 'rm -f r/run', 'touch r/new', 'rmdir r'])
        expect([name, attempt, as(name, raw, attempt)]).toEqual([name, attempt, 'failed'])
    }
  })

  test("what a notebook writes is everybody's of the group, whatever the umask; S3 reads all of it at once", async () => {
    const { service, work } = await openStage()
    // `as` sets umask 077.
    as('alice', work, 'mkdir nb && echo plain >nb/plain && touch nb/run.sh && chmod 700 nb/run.sh')
    expect(as('bruno', work, 'echo b >>nb/plain && cat nb/plain')).toBe('plain\nb')
    expect(as('gina', work, 'cat nb/plain')).toBe('plain\nb')
    expect(as('gina', work, 'echo x >>nb/plain')).toBe('failed')

    // mkstemp: 0600 from the start, then renamed; mkdtemp: 0700.
    const python =
      "python3 -c \"import os,tempfile; f,n=tempfile.mkstemp(dir='nb'); os.write(f,b'saved'); os.rename(n,'nb/saved'); d=tempfile.mkdtemp(dir='nb'); open(d+'/in','w').write('i'); os.rename(d,'nb/dir')\""
    expect(as('alice', work, python)).toBe('')
    expect(as('bruno', work, 'cat nb/saved')).toBe('failed')
    expect(await service({ do: 'get', bucket, key: 'nb/saved' })).toBe('saved')
    expect(await service({ do: 'list', bucket, prefix: 'nb/' })).toEqual([
      'nb/dir/in',
      'nb/plain',
      'nb/run.sh',
      'nb/saved',
    ])
    for (const key of ['nb/saved', 'nb/run.sh', 'nb/dir/in']) await service({ do: 'sha256', bucket, key })
    expect(as('bruno', work, 'cat nb/saved nb/dir/in; echo more >>nb/saved; test -x nb/run.sh')).toBe('savedi')
    expect(as('gina', work, 'cat nb/saved')).toBe('savedmore')
    expect(as('gina', work, 'echo x >>nb/saved || touch nb/dir/x')).toBe('failed')
    expect(as('alice', work, 'rm -r nb && ls')).toBe('')
  })

  test("a PUT over a person's file and a save over a PUT are both everybody's", async () => {
    const { service, work } = await openStage()
    as('alice', work, 'echo mine >f && chmod 600 f')
    await service({ do: 'put', bucket, key: 'f', content: "bruno's", ownerId: 'bruno' })
    expect(as('alice', work, 'cat f && echo again >f && cat f')).toBe("bruno'sagain")
    expect(await service({ do: 'get', bucket, key: 'f' })).toBe('again\n')
    await service({ do: 'delete', bucket, key: 'f' })
    expect(as('alice', work, 'ls')).toBe('')
  })

  test('a data root from before is handed over once: walls at once, the rest behind', async () => {
    const { root } = await stage()
    const old = startService(root, [], null)
    await old({ do: 'bucket', name: bucket, experiment: 'demo', purpose: 'work' })
    await old({ do: 'bucket', name: 'demo-raw', experiment: 'demo', purpose: 'raw' })
    await old({ do: 'put', bucket, key: 'deep/er/w', content: 'w' })
    await old({ do: 'put', bucket: 'demo-raw', key: 'deep/r', content: 'r' })
    const etags = await old({ do: 'sha256', bucket, key: 'deep/er/w' })
    await old.close()
    writeFileSync(join(root, bucket, 'deep', 'foreign'), 'f', { mode: 0o644 })

    const control = startService(root, [])
    await control({ do: 'handOver' })
    expect(ownerOf(join(root, bucket))).toBe(`${serviceUid}:${gids.demo} 2770`)
    expect(ownerOf(join(root, bucket, 'deep/er'))).toBe(`${serviceUid}:${gids.demo} 2770`)
    expect(ownerOf(join(root, bucket, 'deep/er/w'))).toBe(`${serviceUid}:${gids.demo} 660`)
    expect(ownerOf(join(root, bucket, 'deep/foreign'))).toBe(`${serviceUid}:${gids.demo} 660`)
    expect(ownerOf(join(root, 'demo-raw/deep/r'))).toBe(`${serviceUid}:${gids.demo} 440`)
    expect(ownerOf(join(root, '.cygnet/index/index.mdb')).split(' ')[0]).toBe(`${serviceUid}:${serviceUid}`)
    expect(as('bruno', join(root, bucket), 'echo m >>deep/er/w && cat deep/er/w')).toBe('wm')
    expect(as('gina', join(root, bucket), 'cat deep/foreign && echo x >>deep/er/w')).toBe('failed')
    expect(JSON.parse(readFileSync(join(root, '.cygnet/owners.json'), 'utf8')).buckets).toEqual(['demo-raw', bucket])
    expect(await control({ do: 'sha256', bucket: 'demo-raw', key: 'deep/r' })).toBeDefined()
    expect(etags).toBeDefined()

    // Both work on one index, whoever made its files.
    const gateway = startService(root, gatewayCommand)
    await gateway({ do: 'put', bucket, key: 'by/gateway', content: 'g', ownerId: 'alice' })
    await control({ do: 'put', bucket, key: 'by/control', content: 'c' })
    for (const each of [gateway, control])
      expect(await each({ do: 'list', bucket, prefix: 'by/' })).toEqual(['by/control', 'by/gateway'])
    expect(ownerOf(join(root, bucket, 'by/gateway'))).toBe(`${people.alice}:${gids.demo} 660`)
  })

  test('without root there is one uid, and everything goes on as before', async () => {
    const { root } = await stage()
    const plain = ['/usr/bin/setpriv', '--reuid=300050', '--regid=300050', '--clear-groups', '--inh-caps=-all', '--']
    chownSync(root, 300_050, 300_050)
    for (const given of [null, numbers]) {
      // Told of owners by mistake, it finds out that it cannot give files away.
      const service = startService(root, plain, given)
      if (given === null) await service({ do: 'bucket', name: bucket, experiment: 'demo', purpose: 'work' })
      await service({ do: 'put', bucket, key: 'a/b', content: 'x', ownerId: 'alice' })
      await service({ do: 'multipart', bucket, key: 'a/c', content: 'y', ownerId: 'alice' })
      expect(await service({ do: 'get', bucket, key: 'a/c' })).toBe('y')
      expect(ownerOf(join(root, bucket, 'a/b'))).toBe('300050:300050 644')
      await service({ do: 'handOver' })
      await service.close()
    }
  })
})
