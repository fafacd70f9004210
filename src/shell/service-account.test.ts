import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { serviceUid } from './home.ts'
import { serviceAccount } from './service-account.ts'

const reason = process.getuid?.() !== 0 ? 'not run as root' : existsSync('/usr/bin/setpriv') ? undefined : 'no setpriv'

test.skipIf(reason !== undefined)(
  `gateways have an account of their own and only what they need${reason === undefined ? '' : ` (SKIPPED: ${reason})`}`,
  () => {
    for (const [ports, capabilities] of [
      [[8410, 8411], 0xb],
      [[443, 8411], 0x40b],
    ] as const) {
      const { wrap, problem } = serviceAccount(ports)
      expect(problem).toBeUndefined()
      const { stdout } = spawnSync(wrap![0]!, [...wrap!.slice(1), '/bin/cat', '/proc/self/status'], {
        encoding: 'utf8',
      })
      const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(stdout)?.[1]?.trim()
      expect(field('Uid')).toBe(Array(4).fill(serviceUid).join('\t'))
      expect(field('Gid')).toBe(Array(4).fill(serviceUid).join('\t'))
      expect(field('Groups')).toBe('')
      expect(field('NoNewPrivs')).toBe('1')
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        expect([set, Number.parseInt(field(set)!, 16)]).toEqual([set, capabilities])
    }
  },
)

test.skipIf(process.getuid?.() === 0)('without root there is nothing to change', () => {
  expect(serviceAccount([80])).toEqual({ wrap: undefined, problem: undefined })
})
