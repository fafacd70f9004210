/** B-57, S-30: what a payload leaves in /out, and names that shells, JSON and terminals read in their own way. */
import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { submitCommand } from '../contract.ts'
import { emptyFolder } from '../folder-keeping.ts'
import { commandSpec } from '../testing.ts'
import { openStand, type Stand } from './stand.ts'

/** A hundred thousand files take their time to be made: in the long form only. */
const many = process.env.CYGNET_LONG === 'compute' ? 97_000 : 500

async function stand(): Promise<Stand> {
  const folder = await temporaryDirectory()
  const opened = await openStand(folder.path)
  onTestFinished(() => opened.close())
  return opened
}

describe('what is left in /out', () => {
  test('only plain files are kept; the rest is named with its reason, and the job is done', async () => {
    const one = await stand()
    const { job, log } = await one.run(`
import os, socket
os.chdir("/out")
open("good.txt", "w").write("good")
os.mkfifo("pipe")
os.symlink("/etc/passwd", "absolute"); os.symlink("../private/hostile.py", "climbs"); os.symlink("/proc/self/environ", "own")
os.symlink("/", "root"); os.mkdir("folder"); os.symlink("..", "folder/up"); os.link("good.txt", "folder/hard")
socket.socket(socket.AF_UNIX).bind("socket")
open(b"\\xff\\xfe", "w").close()
os.mkdir("closed"); open("closed/x", "w").close(); os.chmod("closed", 0)
with open("sparse", "w") as sparse: sparse.truncate(1 << 43)
try: os.mknod("device", 0o60600, os.makedev(8, 0))
except OSError: pass
`)
    expect(job.state, log).toBe('done')
    const names = job.outputs.map(({ name }) => name)
    // Root may read what its owner has closed; an ordinary user may not.
    expect(names.filter((name) => name !== 'closed/x')).toEqual(['folder/hard', 'good.txt'])
    for (const part of ['7 that are no plain files', 'whose name is not UTF-8', '1 beyond the', "'sparse'"])
      expect(job.reason).toContain(part)
    expect(log).toContain('cygnet: not kept of /out: ')
    expect(job.outputs.find(({ name }) => name === 'good.txt')).toMatchObject({ sizeBytes: 4 })
  })

  test('endless files and a bottomless folder end in a note, not in a lost job', async () => {
    const one = await stand()
    const { job, log } = await one.run(
      `
import os
os.chdir("/out")
for n in range(3_000): open("f%05d" % n, "w").close()
os.mkdir("many"); os.chdir("many")
for n in range(${many}): os.mknod("e%05d" % n)
os.chdir("/out"); os.mkdir("deep"); os.chdir("deep")
for n in range(1_500): os.mkdir("d" * 20); os.chdir("d" * 20)
open("bottom", "w").close()
`,
      { spec: { request: { cpuMilli: 1000, memoryMiB: 512, walltimeMs: 300_000 } } },
    )
    expect(job.state, log).toBe('done')
    expect(job.attempt).toBe(1)
    expect(job.outputs).toHaveLength(2_000)
    expect(job.reason).toMatch(/beyond the 2000 files/)
    if (many > 50_000) expect(job.reason).toMatch(/after the first 50000 entries/)
    else expect(job.reason).toMatch(/in folders too deep/)
    expect(job.reason!.length).toBeLessThan(1_000)
    const folder = one.compute.folderOf(job.id, 1)
    await emptyFolder(folder, { out: true })
    expect(await readdir(folder)).not.toContain('out')
  })

  test('a log cannot be stretched beyond its limit', async () => {
    const one = await stand()
    const { job } = await one.run(
      `
import os
os.ftruncate(1, 1 << 40)
os.write(1, b"x" * (8 << 20))
`,
      { limits: { logBytes: 1 << 20 } },
    )
    expect((await readFile(join(one.compute.folderOf(job.id, job.attempt), 'log'))).length).toBeLessThan(
      (1 << 20) + 1000,
    )
  })
})

/** Every one a way to be read as something else. */
const oddNames = [
  'new\nline',
  'carriage\rreturn',
  '$(touch pwned)',
  '`touch pwned`',
  '"; touch pwned; "',
  "' || touch pwned #",
  '--output=/etc/x',
  '-rf',
  '%s%n%00',
  'a=b c=d',
  '#SBATCH --uid=0',
  'queue 1000000',
  '..%2f..%2fetc',
  '\u202eevil',
  '\u001b]0;title\u0007\u001b[2J',
  '🦢🦢',
  'e\u0301',
  '\u0000nul'.slice(1),
  'x'.repeat(255),
  'é'.repeat(127),
  '${HOME}~*?[]{}',
  '<script>alert(1)</script>',
  'con.txt ',
  '\\\\server\\share',
]

describe('odd names', () => {
  test('go through arguments, environment, files and outputs unchanged, and are nowhere executed', async () => {
    const one = await stand()
    const { job, log } = await one.run(
      `
import json, os, sys
names = json.loads(open("/run/cygnet/names.json").read())
assert sys.argv[1:] == names, "arguments"
assert [os.environ["NAME_%d" % n] for n in range(len(names))] == names, "environment"
os.chdir("/out")
names = [name.replace("/", "_") for name in names]
for name in names: open(name, "w").write(name)
assert sorted(os.listdir(".")) == sorted(names), "files"
print("unchanged")
`,
      {
        arguments: oddNames,
        environment: Object.fromEntries(oddNames.map((name, index) => [`NAME_${index}`, name])),
        files: [{ name: 'names.json', content: JSON.stringify(oddNames) }],
        spec: { title: oddNames.join('|').slice(0, 200), subject: oddNames[2]! },
      },
    )
    expect(log).toBe('unchanged\n')
    expect(job.outputs.map(({ name }) => name).sort()).toEqual(oddNames.map((name) => name.replaceAll('/', '_')).sort())
    expect(job.title).toBe(oddNames.join('|').slice(0, 200))
    for (const output of job.outputs)
      expect(await readFile(join(one.compute.folderOf(job.id, 1), 'out', output.name), 'utf8')).toBe(output.name)
    for (const place of [one.folder, one.home, one.compute.folderOf(job.id, 1)])
      expect(await readdir(place)).not.toContain('pwned')
    expect(existsSync('/pwned')).toBe(false)
  })

  test('a command of such words is that command, and what no program can be given is refused at the door', async () => {
    const one = await stand()
    const { id } = await one.submit(commandSpec(['/usr/bin/printf', '%s|', ...oddNames]))
    const job = await one.compute.ended(id)
    expect(await one.logOf(job)).toBe(oddNames.map((name) => `${name}|`).join(''))
    for (const argv of [[], [''], ['a\0b'], ['\ud800'], ['x'.repeat(200_000)], Array(2_000).fill('x')])
      expect(submitCommand.safeParse({ argv }).success, JSON.stringify(argv).slice(0, 60)).toBe(false)
    for (const request of [
      { cpuMilli: -1 },
      { cpuMilli: 1e9 },
      { memoryMiB: Number.NaN },
      { memoryMiB: 2 ** 40 },
      { walltimeMs: 0 },
    ])
      expect(submitCommand.safeParse({ argv: ['true'], request }).success, JSON.stringify(request)).toBe(false)
  })
})
