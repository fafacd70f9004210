/** The contract's routes bound to the logbook's functions. */
import type { FastifyInstance } from 'fastify'
import type { AnyTransaction } from '../foundation/database.ts'
import type { Facts } from '../foundation/facts.ts'
import { bindRoutes, type Gate } from '../foundation/http.ts'
import { logbookContract } from './contract.ts'
import { liveEvents, resumePoint, type ProgressBoard } from './live-events.ts'
import type { Logbook } from './logbook.ts'

export function bindLogbookRoutes(
  app: FastifyInstance,
  gate: Gate,
  {
    logbook,
    facts,
    board,
    kinds,
    admitCreator,
  }: {
    logbook: Logbook
    facts: Facts
    board: ProgressBoard
    kinds: readonly string[]
    admitCreator: (trx: AnyTransaction, callerId: string, experiment: string) => Promise<void>
  },
): void {
  bindRoutes(
    app,
    logbookContract,
    {
      async listExperiments(_request, context) {
        const all = await logbook.listExperiments()
        return { items: all.filter((one) => may(() => context.require('logbook.read', one.name))) }
      },
      createExperiment: ({ body }, { caller }) =>
        logbook.transact(async (trx) => {
          const experiment = await logbook.createExperiment(trx, body)
          await admitCreator(trx, caller.id, experiment.name)
          return experiment
        }),
      addSetup: ({ params, body }) => logbook.transact((trx) => logbook.addSetup(trx, params.experiment, body)),
      showExperiment: ({ params }) => logbook.showExperiment(params.experiment),
      async recordingStatus({ params }) {
        await logbook.requireExperiment(params.experiment)
        return { items: await logbook.recordingStatus(params.experiment) }
      },
      async listRuns({ params, query }) {
        await logbook.requireExperiment(params.experiment)
        const { limit, cursor, total, ...filter } = query
        return await logbook.listRuns(params.experiment, filter, { limit, cursor, total: total === 'yes' })
      },
      showRun: ({ params }) => logbook.showRun(params.experiment, params.run),
      updateRun: ({ params, body }, { caller }) =>
        logbook.transact((trx) => logbook.updateRun(trx, params.experiment, params.run, body, caller.name)),
      async listConditions({ params, query }) {
        const { id } = await logbook.requireRun(params.experiment, params.run)
        return { items: await logbook.listConditions(id, query.text) }
      },
      async listNotes({ params, query }) {
        await logbook.requireExperiment(params.experiment)
        const runId = query.run === undefined ? undefined : (await logbook.requireRun(params.experiment, query.run)).id
        return await logbook.listNotes(params.experiment, { runId }, query)
      },
      addNote: ({ params, body }, { caller }) =>
        logbook.transact((trx) => logbook.addNote(trx, params.experiment, body, caller)),
      async events({ params }, { request, signal }) {
        await logbook.requireExperiment(params.experiment)
        const since = resumePoint(request.headers['last-event-id'])
        return liveEvents({ facts, board, experiment: params.experiment, kinds, since, signal })
      },
    },
    gate,
  )
}

function may(ask: () => void): boolean {
  try {
    ask()
    return true
  } catch {
    return false
  }
}
