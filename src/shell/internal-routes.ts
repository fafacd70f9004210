/**
 * What only the owner of the home may ask, over control's UNIX socket (0600 by its folder); gateways pass no request
 * with this prefix on.
 */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Compute } from '../compute/index.ts'
import { objectDenialSchema, type Identity } from '../identity/index.ts'
import type { Notebooks } from '../notebooks/index.ts'

const stsSchema = z.object({
  parameters: z.record(z.string(), z.string()),
  address: z.string().max(100),
  requestId: z.string().max(100),
})

export function bindInternalRoutes(
  app: FastifyInstance,
  parts: { identity: Identity; compute: Compute; notebooks: Notebooks },
): void {
  const { identity, compute, notebooks } = parts
  app.post('/internal/admin-link', () => identity.createAdminLink())
  app.post('/internal/first-admin-link', async () => {
    const someoneSignedIn = Object.values(identity.snapshotPart().subjects).some((subject) => subject.siteAdmin)
    return { link: someoneSignedIn ? null : await identity.createAdminLink() }
  })
  app.post('/internal/denials', (request) => {
    const { denials } = z.object({ denials: z.array(objectDenialSchema).max(2000) }).parse(request.body)
    for (const denial of denials) identity.recordDenial(denial)
    return { recorded: denials.length }
  })
  app.post('/internal/sts', (request) => identity.assumeRole(stsSchema.parse(request.body)))
  app.get('/internal/report', async () => {
    const sandbox = await compute.sandboxReport()
    return {
      sandbox: { available: sandbox.available, detail: sandbox.reason ?? sandbox.notes.join(' ') },
      environment: notebooks.environment(),
    }
  })
}
