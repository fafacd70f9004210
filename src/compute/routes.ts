import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { transact, type OpenedDatabase } from '../foundation/database.ts'
import { bindRoutes, type Gate, type RequestContext } from '../foundation/http.ts'
import { computeContract } from './contract.ts'
import { computeErrors } from './errors.ts'
import { followLog } from './log-stream.ts'
import type { Compute } from './room.ts'
import { fitted, requireEnvironment } from './work-limits.ts'

const defaultRequest = { cpuMilli: 1000, memoryMiB: 1024, walltimeMs: 3_600_000 }

/** Binds the contract of `compute`. */
export function computeRoutes(
  app: FastifyInstance,
  { compute, database, gate }: { compute: Compute; database: OpenedDatabase; gate: Gate },
): void {
  const loaded = async (jobId: string, action: 'jobs.read' | 'jobs.cancel', require: RequestContext['require']) => {
    const job = await compute.show(jobId)
    require(action, job.experiment, { ownerId: job.ownerId })
    return job
  }
  bindRoutes(
    app,
    computeContract,
    {
      async listJobs({ params, query }) {
        return await compute.list({ ...query, experiment: params.experiment })
      },
      async submitJob({ params, body }, { caller }) {
        await compute.requireSandbox(caller.id)
        const limits = compute.limitsOf(caller.id, params.experiment)
        requireEnvironment(body.environment, limits)
        return await transact(database, (trx) =>
          compute.submit(trx, {
            kind: 'command',
            title: body.title ?? body.argv.join(' ').slice(0, 200),
            experiment: params.experiment,
            ownerId: caller.id,
            ownerName: caller.name,
            class: body.class,
            payload: { argv: body.argv, environment: body.environment },
            request: { ...fitted(defaultRequest, limits), ...body.request },
            ...(body.retry && { retry: body.retry }),
            ...(body.idempotencyKey !== undefined && { idempotencyKey: body.idempotencyKey }),
          }),
        )
      },
      async showJob({ params }, context) {
        return await loaded(params.job, 'jobs.read', context.require)
      },
      async cancelJob({ params }, context) {
        await loaded(params.job, 'jobs.cancel', context.require)
        return await compute.cancel(params.job)
      },
      async readLog({ params, query }, context) {
        const job = await loaded(params.job, 'jobs.read', context.require)
        const attempt = query.attempt ?? job.attempt
        const path = join(compute.folderOf(job.id, attempt), 'log')
        const headers = {
          'x-attempt': String(attempt),
          'content-disposition': `inline; filename="${job.id}.${attempt}.log"`,
        }
        const file = await open(path, 'r').catch(() => undefined)
        if (file === undefined) {
          if (query.attempt !== undefined && query.attempt > job.attempt)
            throw computeErrors.noSuchLog(`Job ${job.id} has no attempt ${attempt}.`)
          return { contentType: 'text/plain; charset=utf-8', headers, body: new Uint8Array() }
        }
        // The size of now: a log that grows while it is sent would break the promised length.
        const { size } = await file.stat()
        const sizeBytes = Math.max(0, size - query.offset)
        if (sizeBytes === 0) {
          await file.close()
          return { contentType: 'text/plain; charset=utf-8', headers, body: new Uint8Array() }
        }
        return {
          contentType: 'text/plain; charset=utf-8',
          headers,
          sizeBytes,
          body: file.createReadStream({ start: query.offset, end: size - 1 }),
        }
      },
      async followLog({ params, query }, context) {
        const job = await loaded(params.job, 'jobs.read', context.require)
        const last = context.request.headers['last-event-id']
        return followLog({
          from: query.from ?? (typeof last === 'string' && /^\d+:\d+$/.test(last) ? last : undefined),
          signal: context.signal,
          folderOf: (attempt) => compute.folderOf(job.id, attempt),
          load: () => compute.show(job.id),
          changed: (timeoutMs, signal) => compute.changed(job.id, timeoutMs, signal),
        })
      },
      async readOutput({ params, query }, context) {
        const job = await loaded(params.job, 'jobs.read', context.require)
        const output = job.outputs.find((candidate) => candidate.name === query.name)
        if (output === undefined) throw computeErrors.noSuchOutput(`Job ${job.id} left no output called ${query.name}.`)
        const path = join(compute.folderOf(job.id, job.attempt), 'out', output.name)
        // The folder was the payload's: a link in place of the file is not followed.
        const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined)
        if (file === undefined)
          throw computeErrors.noSuchOutput(`The output ${query.name} of job ${job.id} is not there any more.`, {
            hint: output.published
              ? 'It was published with the results of the experiment; look there.'
              : 'Outputs are kept for 30 days after the end of a job.',
          })
        return {
          contentType: 'application/octet-stream',
          headers: { 'content-disposition': 'attachment', 'x-content-sha256': output.sha256 },
          sizeBytes: output.sizeBytes,
          body: file.createReadStream(),
        }
      },
      async showMachine() {
        return await compute.machine()
      },
      async showSandbox() {
        return await compute.sandboxReport()
      },
    },
    gate,
  )
}
