/**
 * A control that is started before its time: it has loaded its program and read the settings, and opens the database
 * only when the one before it has ended and it is called (SIGUSR2). So a hand-over takes no longer than that.
 */
import type { Home } from './home.ts'
import { answerHealth } from './process-health.ts'

export const standbyVariable = 'CYGNET_STANDBY'

/** Says on its health socket that it is ready to be called. */
export async function untilCalled(home: Home): Promise<void> {
  const called = new Promise<void>((done) => process.once('SIGUSR2', () => done()))
  const close = await answerHealth(home)
  await called
  await close()
}
