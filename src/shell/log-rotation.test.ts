import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createLogger, silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { keepLogsSmall } from './log-rotation.ts'

test('logs are renamed when they have grown, and no line is lost', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'control.log')
  const log = createLogger({ process: 'control', destination: path })
  const written: number[] = []
  for (let round = 0; round < 4; round++) {
    for (let line = 0; line < 60; line++) {
      written.push(written.length)
      log.info({ number: written.length - 1 }, 'a line of some length, so that the file grows')
    }
    await keepLogsSmall(folder.path, silentLogger(), { largestBytes: 4_000, files: 20 })
    // Written before the process has noticed: into the renamed file.
    written.push(written.length)
    log.info({ number: written.length - 1 }, 'late')
    while (!readdirSync(folder.path).includes('control.log')) await sleep(50)
  }
  const files = readdirSync(folder.path)
  expect(files.length).toBe(5)
  const numbers = files
    .flatMap((name) => readFileSync(join(folder.path, name), 'utf8').trim().split('\n'))
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { number: number }).number)
  expect(numbers.toSorted((one, other) => one - other)).toEqual(written)
})

test('the oldest go', async () => {
  await using folder = await temporaryDirectory()
  for (let round = 0; round < 5; round++) {
    const log = createLogger({ process: 'control', destination: join(folder.path, 'control.log') })
    log.info({ round, filling: 'x'.repeat(200) })
    await keepLogsSmall(folder.path, silentLogger(), { largestBytes: 100, files: 3 })
  }
  expect(
    readdirSync(folder.path)
      .filter((name) => /\.\d+$/.test(name))
      .toSorted(),
  ).toEqual(['control.log.1', 'control.log.2'])
  expect(readFileSync(join(folder.path, 'control.log.1'), 'utf8')).toContain('"round":4')
})
