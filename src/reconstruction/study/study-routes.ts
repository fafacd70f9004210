/** Handlers of the study routes; routes.ts spreads them into the room's. */
import type { RequestContext } from '../../foundation/http.ts'
import type { RequestOf } from '../../foundation/contract.ts'
import type { studyRoutes } from '../study-contract.ts'
import type { Studies } from './studies.ts'

type Request<Name extends keyof typeof studyRoutes> = RequestOf<(typeof studyRoutes)[Name]>

export function studyHandlers(studies: Studies) {
  return {
    startStudy: ({ params, body }: Request<'startStudy'>, { caller }: RequestContext) =>
      studies.start(params.experiment, body, caller.id),
    async listStudies({ params, query }: Request<'listStudies'>) {
      const given = Number(query.cursor ?? '0')
      const offset = Number.isSafeInteger(given) && given >= 0 ? given : 0
      const items = await studies.list(params.experiment, { kind: query.kind, limit: query.limit, offset })
      return { items, nextCursor: items.length === query.limit ? String(offset + items.length) : null }
    },
    showStudy: ({ params }: Request<'showStudy'>) => studies.show(params.experiment, params.study),
    async readStudyFile({ params }: Request<'readStudyFile'>) {
      const file = await studies.file(params.experiment, params.study, params.name)
      // A pdf opens in the browser, a model is kept; the file of a study never changes.
      return {
        ...file,
        headers: {
          'cache-control': 'private, max-age=86400',
          'content-disposition': `${params.name.endsWith('.pdf') ? 'inline' : 'attachment'}; filename="${params.name}"`,
        },
      }
    },
  }
}
