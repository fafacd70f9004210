import type { CameraType } from '../camera.ts'
import type { DetectorModel } from './detector-model.ts'
import type { SimulationOptions } from './simulation-options.ts'
import type { Production } from './truth.ts'

/** Changes whenever the same seed gives another run than before. */
export const generatorVersion = '2'
export const generatorName = `cygnet-detector-simulator ${generatorVersion}`

/** What a run records of how it was made, enough to make it again. */
export function productionOf(
  options: SimulationOptions,
  made: {
    model: DetectorModel
    camera: CameraType
    frame: { width: number; height: number }
    exposureMs: number
    shutter: boolean
    tracksPerImage: Record<string, number>
    source?: Production['source'] | undefined
  },
): Production {
  const { model, frame } = made
  const recipe: Record<string, number | string> = { exposureMs: made.exposureMs, shutter: made.shutter ? 1 : 0 }
  if (options.site !== undefined) recipe.site = options.site
  if (options.source !== undefined) {
    recipe.source = options.source
    recipe.sourceRateHz = options.sourceRateHz ?? defaultSourceRateHz[options.source]
    recipe.sourceZMm = options.sourceZMm ?? model.driftMm / 2
  }
  for (const [kind, mean] of Object.entries(made.tracksPerImage)) if (mean > 0) recipe[`${kind}PerImage`] = mean
  if (options.deltaRays) recipe.deltaRays = 1
  if (made.source) recipe.eventsPerImage = options.eventsPerImage ?? 1
  return {
    ...(options.production === undefined ? {} : { name: options.production }),
    generator: generatorName,
    version: generatorVersion,
    seed: options.seed,
    geometry: {
      detector: 'LIME',
      camera: made.camera,
      cameras: options.cameras ?? 1,
      widthPx: frame.width,
      heightPx: frame.height,
      detectorSeed: options.detectorSeed ?? 1,
      ...model,
    },
    recipe,
    ...(made.source ? { source: made.source } : {}),
  }
}

/** Assumptions: 55Fe as in the pictures of LEMON (15 spots), a few recoils per second. */
export const defaultSourceRateHz = { iron: 30, ambe: 2 } as const

/** The same for the folder /Simulation of the online database. */
export function productionOdb(production: Production): Record<string, unknown> {
  const { source } = production
  return {
    Production: production.name ?? '',
    Generator: production.generator,
    Version: production.version,
    Seed: production.seed,
    Recipe: production.recipe ?? {},
    ...(source
      ? {
          Source: {
            Name: source.name,
            Format: source.format,
            SHA256: source.sha256,
            Size: source.sizeBytes,
            Events: source.events,
            Deposits: source.deposits,
          },
        }
      : {}),
    Geometry: production.geometry,
  }
}
