/** What the shim promises by itself, without a room around it. */
import { expect, test } from 'vitest'
import { runCommand } from '../foundation/processes.ts'

test('the times of a shim do not jump with the clock of the machine', async () => {
  const program = [
    'import json, sys, time',
    'sys.path.insert(0, sys.argv[1])',
    'import shim',
    'before, wall, real = shim.now_ms(), time.time() * 1000, time.time',
    'time.time = lambda: real() + 86400',
    'forward = shim.now_ms()',
    'time.time = lambda: 0.0',
    'print(json.dumps([abs(before - wall) < 60000, 0 <= forward - before < 60000, 0 <= shim.now_ms() - forward < 60000]))',
  ]
  const argv = ['python3', '-B', '-S', '-c', program.join('\n'), import.meta.dirname]
  const { stdout, stderr } = await runCommand(argv)
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual([true, true, true])
})
