import type { FastifyInstance } from 'fastify'
import { bindRoutes, type Gate } from '../foundation/http.ts'
import { credentialOf } from '../identity/index.ts'
import { notebooksContract } from './contract.ts'
import { notebookErrors } from './errors.ts'
import type { Notebooks } from './room.ts'

/** Binds the contract of `notebooks`. */
export function notebookRoutes(app: FastifyInstance, { notebooks, gate }: { notebooks: Notebooks; gate: Gate }): void {
  bindRoutes(
    app,
    notebooksContract,
    {
      async listSessions({ query }, { caller }) {
        return {
          items: await notebooks.list(caller.id, {
            all: query.all === 'yes',
            ...(query.experiment !== undefined && { experiment: query.experiment }),
          }),
        }
      },
      async startSession({ body }, { caller }) {
        // A session or a job acts for its person, but must not open another door in their name.
        if (caller.kind !== 'person') throw notebookErrors.notYours('Only people start sessions.')
        return await notebooks.startSession(caller, {
          experiment: body.experiment,
          ...(body.run !== undefined && { run: body.run }),
          ...(body.results !== undefined && { results: body.results }),
        })
      },
      async showSession({ params }, context) {
        const session = await notebooks.show(params.session)
        context.require('sessions.start', session.experiment)
        if (session.ownerId !== context.caller.id)
          throw notebookErrors.noSuchSession(`There is no session ${params.session} of yours.`)
        return session
      },
      async stopSession({ params }, context) {
        const session = await notebooks.show(params.session)
        context.require('sessions.stop', session.experiment, { ownerId: session.ownerId })
        return await notebooks.stop(params.session)
      },
      async createTicket({ params, body }, context) {
        const session = await notebooks.show(params.session)
        context.require('sessions.start', session.experiment)
        if (session.ownerId !== context.caller.id || context.caller.kind !== 'person')
          throw notebookErrors.notYours('A session opens only for the person it belongs to.')
        const credential = credentialOf(context.caller)
        const windowId = credential.by === 'browser-session' ? credential.sessionId : undefined
        return await notebooks.createTicket(params.session, body?.openPath, windowId)
      },
      async showEnvironment() {
        return notebooks.environment()
      },
    },
    gate,
  )
}
