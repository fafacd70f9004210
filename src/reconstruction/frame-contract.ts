/** Pixels of stored images over HTTP, for drawing and for programs. Runs in browsers and in Node. */
import { z } from 'zod'
import { runReferenceSchema } from '../logbook/contract.ts'

const params = z.object({ experiment: z.string(), run: runReferenceSchema })
const camera = z.coerce.number<number | string | undefined>().int().min(0).default(0)

/**
 * raw: counts as read out (ADU). subtracted: minus the pedestal. calibrated: that, divided by the share of light that
 * reaches the sensor at this place (vignetting); counts of the middle of the lens.
 */
export const frameViews = ['raw', 'subtracted', 'calibrated'] as const
export type FrameViewName = (typeof frameViews)[number]

/** Fractions of a count in the stored numbers of `readPedestalMap`: stored = counts * 16, up to 4095.9. */
export const pedestalScale = 16

export const frameRoutes = {
  readFrame: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/events/:event/frame',
    summary:
      'Pixels of one image, row by row, little-endian: uint16 (view=raw) or int16 counts above pedestal (view=subtracted, view=calibrated: also corrected for vignetting). reduce=4 gives means of 4 x 4 pixels (stored = mean * X-Frame-Scale); format=png a grey picture between low and high, for looking. Headers X-Frame-Width, X-Frame-Height, X-Frame-Type, X-Frame-Scale, X-Full-Width, X-Full-Height',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: params.extend({ event: z.coerce.number<number | string>().int().min(0) }),
    query: z.object({
      camera,
      view: z.enum(frameViews).default('raw'),
      /** Pixels along each side that become one: their mean. */
      reduce: z.coerce
        .number<number | string | undefined>()
        .pipe(z.union([z.literal(1), z.literal(2), z.literal(4), z.literal(8)]))
        .default(1),
      format: z.enum(['counts', 'png']).default('counts'),
      /** Black and white of a PNG, counts of the view; without them the middle 99 %. */
      low: z.coerce.number<number | string>().optional(),
      high: z.coerce.number<number | string>().optional(),
    }),
    stream: 'bytes',
  },
  readPedestalMap: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/pedestal-map',
    summary:
      'The pedestal that is valid for a run. what=mean: per pixel uint16, counts * 16 (65535: 4095.9 or more); what=hot: indices (row * width + column) of its hot and dead pixels, uint32. Little-endian. Headers X-Frame-Width, X-Frame-Height, X-Pedestal-Run, X-Pedestal-Version, X-Light-Correction (quadratic, quartic, radius in pixels)',
    permission: { action: 'data.read', of: 'params.experiment' },
    params,
    query: z.object({ camera, what: z.enum(['mean', 'hot']).default('mean') }),
    stream: 'bytes',
  },
} as const
