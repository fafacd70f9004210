/**
 * A connection whose handshake is under way when a gateway stops listening belongs to that gateway's listener and is
 * reset with it, unless the kernel may move it to another listener of the port (Linux 5.14, net.ipv4.tcp_migrate_req).
 * As root that is switched on for the moment of the hand-over; otherwise, and in containers, a connection in a few
 * thousand at full load is reset and clients open another.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { Logger } from '../foundation/log.ts'

const switchPath = '/proc/sys/net/ipv4/tcp_migrate_req'

export async function movingConnections(log: Logger, work: () => Promise<void>): Promise<void> {
  const before = await readFile(switchPath, 'utf8').catch(() => undefined)
  const switched = before?.trim() === '0' && (await write('1'))
  try {
    await work()
  } finally {
    if (switched) await write('0')
  }

  async function write(value: string): Promise<boolean> {
    try {
      await writeFile(switchPath, value)
      return true
    } catch (error) {
      log.info({ err: error }, 'connections under way cannot be moved between listeners here')
      return false
    }
  }
}
