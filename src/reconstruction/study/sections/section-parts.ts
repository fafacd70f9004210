/** What every section of the validation is made with. */
import type { ReconstructionParameters } from '../../parameters.ts'
import type { CollectedSample } from '../collect-sample.ts'
import type { ReportSection } from '../study-report.ts'
import type { SampleName } from '../validation-plan.ts'

export interface SectionContext {
  sample(name: SampleName): CollectedSample
  parameters: ReconstructionParameters
}

export type SectionParts = Partial<Omit<ReportSection, 'number' | 'id' | 'title' | 'samples'>>

export function section(
  number: number,
  id: string,
  title: string,
  samples: readonly CollectedSample[],
  parts: SectionParts,
): ReportSection {
  return {
    number,
    id,
    title,
    paragraphs: [],
    samples: samples.map(sampleLine),
    tables: [],
    plots: [],
    comparisons: [],
    requirements: [],
    problem: null,
    ...parts,
  }
}

export function sampleLine({ plan, images }: CollectedSample): string {
  const side = plan.simulation.frame?.width ?? plan.framePx
  return `${plan.name} (${plan.purpose}): ${images} images of ${side} x ${side} px, seed ${plan.seed}; ${plan.content}`
}

/** Inside this radius the reference takes 55Fe spots; scaled where the frame is smaller than the camera's. */
export function fiducialRadiusPx(framePx: number): number {
  return (900 * framePx) / 2304
}
