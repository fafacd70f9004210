/** What of a platform's state somebody should look at now, in words, the gravest first. Pure. */
import type { z } from 'zod'
import type { concernSchema, statusSchema } from '../contract.ts'

type Concern = z.infer<typeof concernSchema>
export type StatusFigures = Omit<z.infer<typeof statusSchema>, 'concerns'>

/** A follower this far behind does not keep up; a burst of a run's facts is some tens. */
const farBehind = 1_000

export function concernsOf(status: StatusFigures): Concern[] {
  const concerns: Concern[] = []
  const say = (grave: boolean, what: string, hint: string) => void concerns.push({ grave, what, hint })
  const { disk, agents, followers, backgroundJobs, sandbox, storageLagChanges } = status
  const freeShare = disk.totalBytes > 0 ? disk.freeBytes / disk.totalBytes : 1
  if (freeShare < 0.02)
    say(
      true,
      `The disk is full: ${disk.path}.`,
      'Uploads are refused until there is room; DAQ machines keep their runs meanwhile.',
    )
  else if (freeShare < 0.1)
    say(false, `The disk is nearly full: ${disk.path}.`, 'Free some, or add a disk, before uploads are refused.')
  for (const agent of agents) {
    const name = `${agent.experiment}, ${agent.name}`
    if (agent.state === 'silent')
      say(
        true,
        `The DAQ agent is silent: ${name}.`,
        'Runs may be recorded and not sent: look at its machine and its network.',
      )
    else if (agent.trouble !== '')
      say(
        false,
        `The DAQ agent has trouble: ${name}: ${agent.trouble}`,
        'Its runs stay on the DAQ disk until it is over.',
      )
  }
  for (const { name, behind, failing } of followers) {
    if (failing !== null)
      say(
        true,
        `A follower of facts fails: ${name}: ${failing}`,
        'What it makes waits and is made later; the log of control has the whole reason.',
      )
    else if (behind > farBehind)
      say(
        false,
        `A follower of facts is ${behind} behind: ${name}.`,
        'It catches up by itself; if it does not, look at the log of control.',
      )
  }
  if (storageLagChanges > farBehind)
    say(false, `The logbook has not seen ${storageLagChanges} stored objects yet.`, 'It catches up by itself.')
  if (backgroundJobs.dead > 0)
    say(false, `${backgroundJobs.dead} background jobs were given up.`, 'Their reasons are below.')
  if (!sandbox.available) say(true, 'There is no sandbox: notebooks and jobs are refused.', sandbox.detail)
  if (status.processes.length < status.processesWanted)
    say(
      true,
      `${status.processesWanted - status.processes.length} processes of the platform do not run.`,
      'They are started again by themselves; if they end again and again, look at their logs.',
    )
  const asRoot = status.processes.filter(({ name, uid }) => name.startsWith('gateway') && uid === 0)
  if (asRoot.length > 0)
    say(
      false,
      `What talks to the network runs as root: ${asRoot.map(({ name }) => name).join(', ')}.`,
      'Install setpriv (of util-linux) and start Cygnet again: gateways then get an account of their own.',
    )
  return concerns.sort((one, other) => Number(other.grave) - Number(one.grave))
}
