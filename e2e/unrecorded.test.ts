/**
 * The supervisor dies between starting a process and writing that down, and everything that was written down dies too:
 * what is left holds the ports. The next supervisor must take it up instead of calling the ports taken.
 */
import { expect, test } from 'vitest'
import { isAlive, openArming } from './chaos-victims.ts'
import { eventually, startPlatform } from './platform.ts'

test('a platform of which only an unrecorded gateway is left comes back', { timeout: 240_000 }, async () => {
  const arming = openArming()
  const environment = { CYGNET_TEST: '1', CYGNET_FAILPOINTS_FILE: arming.path }
  const platform = await startPlatform({ environment })
  try {
    const recorded = ['control', 'gateway-1', 'gateway-2'].map((name) => platform.pidOf(name))
    arming.arm('supervisor.before-record')
    process.kill(recorded[2]!, 'SIGKILL')
    await eventually('the end of the supervisor', async () => arming.fired())
    for (const pid of recorded.slice(0, 2)) process.kill(pid, 'SIGKILL')
    // Until the unrecorded gateway listens, alone.
    await eventually('its answer', async () => (await fetch(platform.s3Url)).status)
    await platform.restart()
    expect((await fetch(`${platform.platformUrl}/api/health`)).status).toBe(200)
    for (const pid of recorded) expect(isAlive(pid)).toBe(false)
  } finally {
    await platform.stop()
    arming.close()
  }
  await expect(fetch(platform.s3Url)).rejects.toThrow()
})
