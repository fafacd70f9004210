import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeSimulatedRun } from '../detector/index.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { adoptProducts } from './adopt.ts'
import { compareClusters } from './compare-clusters.ts'
import { completeParameters } from './parameters.ts'
import { makePedestal } from './pedestal-payload.ts'
import { createProductReader } from './product-reader.ts'
import { reconstructRun } from './reconstruction-payload.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasLibraries = python !== undefined && canImport(python)
const example = join(import.meta.dirname, '../../examples/campaigns/scikit-learn')

function canImport(path: string): boolean {
  try {
    execFileSync(path, ['-c', 'import numpy, scipy, sklearn, pyarrow'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test.skipIf(!hasLibraries)(
  `the scikit-learn example finds the tracks that the built-in chain finds${hasLibraries ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with scikit-learn, scipy and pyarrow)'}`,
  async () => {
    const folder = await temporaryDirectory()
    const [ours, theirs, adopted] = await Promise.all(
      ['ours', 'theirs', 'adopted'].map(async () => (await temporaryDirectory()).path),
    )
    const common = { seed: 11, frame: { width: 384, height: 384 }, startMs: 0, waveforms: false }
    await writeSimulatedRun(folder.path, { ...common, number: 1, kind: 'pedestal', images: 12 })
    const tracksPerImage = { iron: 2, muon: 0, alpha: 0 }
    const data = { ...common, number: 2, kind: 'data' as const, images: 5, tracksPerImage }
    await writeSimulatedRun(folder.path, data, { gzip: true })
    const raw = join(folder.path, 'run00002.mid.gz')
    const pedestalPath = join(ours!, 'pedestal.cyped')
    const quiet = () => undefined
    const pedestalRun = { run: 'demo/sim:1', rawPath: join(folder.path, 'run00001.mid'), codeVersion: 'test' }
    await makePedestal({ task: 'pedestal', ...pedestalRun, outFolder: ours! }, quiet)
    await reconstructRun(
      {
        task: 'reconstruction',
        run: 'demo/sim:2',
        campaign: 'main',
        rawPath: raw,
        pedestalPath,
        truthPath: null,
        outFolder: ours!,
        codeVersion: 'test',
        calibrationId: 'test',
        workers: 1,
        parameters: completeParameters({}),
      },
      quiet,
    )
    const said = execFileSync(python!, ['cluster.py', raw, pedestalPath, theirs!], { cwd: example, encoding: 'utf8' })
    expect(said).toMatch(/5 images, \d+ clusters/)
    const answer = await adoptProducts(
      {
        clustersPath: join(theirs!, 'clusters.parquet'),
        summaryPath: join(theirs!, 'summary.json'),
        pedestalPath,
        outFolder: adopted!,
        lineage: {
          run: 'demo/sim:2',
          campaign: 'skl',
          campaignVersion: 1,
          codeVersion: 'script-test',
          gitCommit: null,
          calibrationId: 'test',
          rawSha256: '',
          truthSha256: '',
          modelSha256: '',
          host: 'here',
          madeAtMs: null,
        },
        parameters: {},
        images: 5,
      },
      { nodePath: process.execPath },
    )
    expect(answer).toMatchObject({ refusal: null, problems: [], totals: { images: 5, numbers: { images: 5 } } })
    const files = [join(ours!, 'clusters.parquet'), join(adopted!, 'clusters.parquet')] as const
    const compared = await compareClusters(createProductReader(), files, { limit: 1000, selectedOnly: true })
    expect(compared.firstClusters).toBeGreaterThan(4)
    expect(compared.matched / compared.firstClusters).toBeGreaterThan(0.8)
    expect(Math.abs(compared.integralShift.median)).toBeLessThan(0.2)
    expect(compared.positionShiftPx.median).toBeLessThan(3)
  },
)
