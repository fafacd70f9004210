/** Selections of results that people keep under a name, for everybody of the experiment. */
import { z } from 'zod'

export const savedSelection = z.object({
  id: z.string(),
  name: z.string(),
  /** What stands behind `?` in the address of the results page. */
  address: z.string(),
  ownerId: z.string(),
  ownerName: z.string(),
  createdAtMs: z.int(),
})
export type SavedSelection = z.infer<typeof savedSelection>

const params = z.object({ experiment: z.string() })
const path = '/api/experiments/:experiment/saved-selections'

export const savedSelectionRoutes = {
  listSavedSelections: {
    method: 'GET',
    path,
    summary: 'Selections of results that people of the experiment have kept, by name',
    permission: { action: 'data.read', of: 'params.experiment' },
    params,
    answer: z.object({ items: z.array(savedSelection) }),
  },
  saveSelection: {
    method: 'POST',
    path,
    summary: 'Keep a selection of results under a name',
    permission: { action: 'logbook.write', of: 'params.experiment' },
    params,
    body: z.object({ name: z.string().trim().min(1).max(80), address: z.string().max(16_000) }),
    answer: savedSelection,
  },
  deleteSavedSelection: {
    method: 'DELETE',
    path: `${path}/:selection`,
    summary: 'Delete a selection of mine; administrators of the experiment delete any',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: params.extend({ selection: z.string() }),
  },
} as const
