import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../foundation/errors.ts'
import { rounds, temporaryDirectory } from '../../foundation/testing.ts'
import { openRootTree } from './root-columns.ts'
import { picturesOf, readRootPicture } from './root-pictures.ts'
import { openRootFile } from './root-reader.ts'
import { createRootFile } from './root-writer.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasUproot = python !== undefined && spawnSync(python, ['-c', 'import uproot, awkward']).status === 0
const withUproot = hasUproot ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with uproot)'
const atMs = Date.UTC(2026, 0, 2, 3, 4, 5)

const inPython = <Answer>(program: string, ...argv: string[]): Answer => {
  const { status, stdout, stderr } = spawnSync(python!, ['-c', program, ...argv], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Answer
}

async function writeSample(path: string, entries: number): Promise<void> {
  const file = await createRootFile(path, { atMs })
  const tree = file.tree('Events', 'reconstruction', [
    { name: 'run', kind: 'int' },
    { name: 'time', kind: 'double' },
    { name: 'nSc', kind: 'int' },
    { name: 'sc_size', kind: 'float', counter: 'nSc' },
    { name: 'sc_redpixIdx', kind: 'int', counter: 'nSc' },
    { name: 'vetoed', kind: 'boolean' },
    { name: 'serial', kind: 'long' },
  ])
  for (let entry = 0; entry < entries; entry++) {
    const count = entry % 7
    await tree.fill(1, {
      run: [entry - 5],
      time: [entry / 3],
      nSc: [count],
      sc_size: Array.from({ length: count }, (_, index) => entry + index / 8),
      sc_redpixIdx: Array.from({ length: count }, (_, index) => -index),
      vetoed: [entry % 2],
      serial: [entry * 1e10],
    })
  }
  await file.text('reco_git_hash', 'builtin-0123456789ab')
  await file.close()
}

async function inFolder(path: string): Promise<string> {
  await mkdir(dirname(path))
  return path
}

describe('writing', () => {
  test.skipIf(!hasUproot)(`uproot reads every entry of every column${withUproot}`, async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'reco.root')
    // More than one basket of each column.
    const entries = 60_000
    await writeSample(path, entries)
    const answer = inPython<Record<string, unknown>>(
      `
import json, sys, numpy as np, awkward as ak, uproot
n = int(sys.argv[2])
with uproot.open(sys.argv[1]) as file:
    tree = file['Events']
    a = tree.arrays()
    k = np.arange(n)
    counts = k % 7
    index = ak.local_index(a['sc_size'])
    print(json.dumps({
        'classes': file.classnames(), 'hash': str(file['reco_git_hash']), 'types': {b.name: b.typename for b in tree.branches},
        'baskets': tree['sc_size'].num_baskets,
        'run': bool(np.all(a['run'] == k - 5)), 'time': bool(np.all(a['time'] == k / 3)), 'nSc': bool(np.all(a['nSc'] == counts)),
        'lengths': bool(np.all(ak.num(a['sc_size']) == counts)),
        'size': bool(ak.all(a['sc_size'] == ak.values_astype(k + index / 8, 'float32'))), 'index': bool(ak.all(a['sc_redpixIdx'] == -index)),
        'vetoed': bool(np.all(a['vetoed'] == (k % 2 == 1))), 'serial': bool(np.all(a['serial'] == k * 10**10)),
    }))`,
      path,
      String(entries),
    )
    expect(answer).toMatchObject({
      classes: { 'Events;1': 'TTree', 'reco_git_hash;1': 'TObjString' },
      hash: 'builtin-0123456789ab',
      types: { run: 'int32_t', time: 'double', sc_size: 'float[]', vetoed: 'bool', serial: 'int64_t' },
    })
    expect(Number(answer.baskets)).toBeGreaterThan(1)
    for (const column of ['run', 'time', 'nSc', 'lengths', 'size', 'index', 'vetoed', 'serial'])
      expect(answer[column], column).toBe(true)
  })

  test.skipIf(!hasUproot)(`a tree without entries is one too${withUproot}`, async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'empty.root')
    await writeSample(path, 0)
    const program = 'import json, sys, uproot; print(json.dumps(uproot.open(sys.argv[1])["Events"].num_entries))'
    expect(inPython(program, path)).toBe(0)
  })

  test('the same content gives the same bytes', async () => {
    await using folder = await temporaryDirectory()
    const [one, other] = ['a', 'b'].map((name) => join(folder.path, name, 'reco.root'))
    await writeSample(await inFolder(one!), 500)
    await writeSample(await inFolder(other!), 500)
    expect((await readFile(one!)).equals(await readFile(other!))).toBe(true)
  })

  test('columns that do not fit are refused and leave the tree as it was', async () => {
    await using folder = await temporaryDirectory()
    const file = await createRootFile(join(folder.path, 'x.root'), { atMs })
    expect(() => file.tree('t', '', [{ name: 'a', kind: 'int', counter: 'n' }])).toThrow(/counted by n/)
    const tree = file.tree('t', '', [
      { name: 'n', kind: 'int' },
      { name: 'a', kind: 'int', counter: 'n' },
    ])
    await expect(tree.fill(1, { n: [2], a: [1] })).rejects.toThrow(/2 belong to these entries/)
    await tree.fill(1, { n: [1], a: [1] })
    await file.close()
  })
})

describe('reading', () => {
  test('reads what we write', async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'own.root')
    await writeSample(path, 2000)
    const file = await openRootFile(path)
    const tree = await openRootTree(
      file,
      file.keys.find(({ className }) => className === 'TTree')!,
    )
    expect(tree).toMatchObject({ name: 'Events', entries: 2000, skipped: [] })
    let entry = 0
    for await (const { entries, values } of tree.rows(['run', 'sc_size', 'vetoed', 'serial'])) {
      const [run, size, vetoed, serial] = values
      for (let index = 0; index < entries; index++, entry++) {
        expect([run!.values[index], vetoed!.values[index], serial!.values[index]]).toEqual([
          entry - 5,
          entry % 2,
          entry * 1e10,
        ])
        const sizes = [...size!.values.subarray(size!.offsets![index], size!.offsets![index + 1])]
        expect(sizes).toEqual(Array.from({ length: entry % 7 }, (_, at) => Math.fround(entry + at / 8)))
      }
    }
    expect(entry).toBe(2000)
    await file.close()
  })

  test.skipIf(!hasUproot)(`pictures and trees that uproot wrote${withUproot}`, async () => {
    await using folder = await temporaryDirectory()
    for (const compression of ['uproot.ZLIB(4)', 'uproot.LZ4(4)', 'uproot.ZSTD(4)', 'None']) {
      const path = join(folder.path, 'histograms_Run00012.root')
      inPython(
        `
import json, sys, numpy as np, awkward as ak, uproot
with uproot.recreate(sys.argv[1], compression=${compression}) as file:
    for event in range(3):
        counts = 100 + (np.add.outer(np.arange(40) * 7, np.arange(24) * 13) + 5 * event) % 50
        file[f'pic_run00012_ev{event}'] = (counts.astype('f8'), np.arange(41.), np.arange(25.))
    k = np.arange(5000)
    file.mktree('hits', {'event': (k // 10).astype('i4'), 'energy': k * 0.5, 'step': ak.Array([[i + j / 8 for j in range(i % 5)] for i in range(5000)])})
    file['newer'] = {'event': k}
print('true')`,
        path,
      )
      const file = await openRootFile(path)
      const pictures = picturesOf(file)
      expect(pictures.map(({ run, event }) => [run, event])).toEqual([
        [12, 0],
        [12, 1],
        [12, 2],
      ])
      for (const picture of pictures) {
        const { width, height, pixels } = await readRootPicture(file, picture)
        expect([width, height]).toEqual([40, 24])
        const expected = Array.from(
          { length: 40 * 24 },
          (_, at) => 100 + (((at % 40) * 7 + Math.floor(at / 40) * 13 + 5 * picture.event) % 50),
        )
        expect([...pixels]).toEqual(expected)
      }
      const tree = await openRootTree(
        file,
        file.keys.find(({ name }) => name === 'hits')!,
      )
      expect(tree.entries).toBe(5000)
      let entry = 0
      for await (const { entries, values } of tree.rows(['event', 'energy', 'step'])) {
        const [event, energy, step] = values
        for (let index = 0; index < entries; index++, entry++) {
          expect(event!.values[index]).toBe(Math.floor(entry / 10))
          expect(energy!.values[index]).toBe(entry * 0.5)
          const list = [...step!.values.subarray(step!.offsets![index], step!.offsets![index + 1])]
          expect(list).toEqual(Array.from({ length: entry % 5 }, (_, at) => entry + at / 8))
        }
      }
      expect(entry).toBe(5000)
      const newer = file.keys.find(({ name }) => name === 'newer')!
      if (newer.className !== 'TTree') await expect(openRootTree(file, newer)).rejects.toThrow(/not a tree/)
      await expect(tree.rows(['nothing']).next()).rejects.toThrow(/no column of numbers called nothing/)
      await file.close()
    }
  })

  test.skipIf(!hasUproot)(`no damage makes it throw anything but a Fault${withUproot}`, async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'pictures.root')
    inPython(
      `
import sys, numpy as np, uproot
with uproot.recreate(sys.argv[1]) as file:
    file['pic_run1_ev0'] = (np.ones((16, 16)), np.arange(17.), np.arange(17.))
    file.mktree('hits', {'event': np.arange(300), 'x': np.arange(300) * 0.5})
print('true')`,
      path,
    )
    const sound = await readFile(path)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.option(fc.nat(sound.length)),
        async (changes, cut) => {
          const bytes = Buffer.from(cut === null ? sound : sound.subarray(0, cut))
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
          const damaged = join(folder.path, 'damaged.root')
          await writeFile(damaged, bytes)
          await readAll(damaged)
        },
      ),
      { numRuns: rounds(150) },
    )
  })

  test('files that are something else say so', async () => {
    await using folder = await temporaryDirectory()
    const path = join(folder.path, 'x.root')
    for (const content of ['', 'root', 'not a root file at all, only a text that is long enough to look into it']) {
      await writeFile(path, content)
      await expect(openRootFile(path)).rejects.toBeInstanceOf(Fault)
    }
    await expect(openRootFile(join(folder.path, 'absent.root'))).rejects.toThrow(/cannot be opened/)
  })
})

/** Reads what can be read; a Fault is an answer. */
async function readAll(path: string): Promise<void> {
  try {
    const file = await openRootFile(path)
    try {
      for (const picture of picturesOf(file)) await readRootPicture(file, picture)
      for (const key of file.keys.filter(({ className }) => className === 'TTree')) {
        const tree = await openRootTree(file, key)
        for await (const _ of tree.rows(tree.columns.map(({ name }) => name)));
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
  }
}
