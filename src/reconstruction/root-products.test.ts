import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeSimulatedRun } from '../detector/index.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { shippedModelPath } from './learning/score-images.ts'
import { completeParameters } from './parameters.ts'
import { productNames } from './payload-spec.ts'
import { makePedestal } from './pedestal-payload.ts'
import { createProductReader } from './product-reader.ts'
import { reconstructRun } from './reconstruction-payload.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasUproot = python !== undefined && spawnSync(python, ['-c', 'import uproot, awkward']).status === 0
const side = 576

const program = `
import json, sys, numpy as np, awkward as ak, uproot
with uproot.open(sys.argv[1]) as file:
    e = file['Events'].arrays()
    out = {'trees': sorted(k.split(';')[0] for k in file.keys()), 'hash': str(file['reco_git_hash']),
           'branches': [b.name for b in file['Events'].branches], 'event': e['event'].tolist(), 'pedestal_run': e['pedestal_run'].tolist()}
    for name in ['sc_integral', 'sc_xmean', 'sc_ymean', 'sc_ymin', 'sc_theta', 'sc_tgausssigma', 'sc_nhits', 'recoil_score', 'learned_energy_kev', 'truth_track', 'sc_redpixIdx']:
        out[name] = e[name].tolist()
    # Pixels of the brightest cluster of each image, by the index the reference's users know.
    out['redpix'] = []
    for i in range(len(e)):
        first = e['sc_redpixIdx'][i, 0]
        out['redpix'].append(float(np.sum(e['redpix_iz'][i, first:first + e['sc_size'][i, 0]])))
    pmt = file['PMT_Events'].arrays()
    out['pmt'] = {'rows': len(pmt), 'channels': sorted(set(pmt['pmt_wf_channel'].tolist())),
                  'peaks': ak.num(pmt['pmt_peak_Position']).tolist(), 'nPeaks': pmt['pmt_wf_nPeaks'].tolist(), 'integral': pmt['pmt_wf_tot_integral'].tolist()}
    out['avg'] = sorted(set(file['PMT_Avg_Events']['pmt_wf_channel'].array().tolist()))
    out['nsigma'] = float(file['Reco_params']['zeroSuppressionSigma'].array()[0])
print(json.dumps(out))`

test.skipIf(!hasUproot)(
  `uproot finds the result under the branch names of the reference${hasUproot ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with uproot)'}`,
  { timeout: 60_000 },
  async () => {
    await using folder = await temporaryDirectory()
    const simulation = { seed: 5, frame: { width: side, height: side }, startMs: Date.UTC(2026, 0, 1) }
    const pedestalRun = await writeSimulatedRun(folder.path, { ...simulation, number: 6, kind: 'pedestal', images: 12 })
    const run = await writeSimulatedRun(folder.path, {
      ...simulation,
      number: 7,
      kind: 'data',
      images: 4,
      tracksPerImage: { iron: 2 },
      tracks: [{ kind: 'iron', xPx: 200, yPx: 300 }],
    })
    const outFolder = join(folder.path, 'out')
    await mkdir(outFolder)
    const quiet = () => undefined
    const from = { outFolder, codeVersion: 'builtin-test' }
    await makePedestal({ task: 'pedestal', run: 'demo/sim:6', rawPath: pedestalRun.path, ...from }, quiet)
    await reconstructRun(
      {
        task: 'reconstruction',
        run: 'demo/sim:7',
        campaign: 'main',
        rawPath: run.path,
        pedestalPath: join(outFolder, productNames.pedestal),
        truthPath: run.truthPath,
        model: { path: shippedModelPath, name: 'default' },
        ...from,
        calibrationId: 'calibration',
        workers: 1,
        parameters: completeParameters({ rootFile: 'pixels' }),
      },
      quiet,
    )
    const { status, stdout, stderr } = spawnSync(python!, ['-c', program, join(outFolder, 'reco_run00007_3D.root')], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    })
    expect(status, stderr).toBe(0)
    const root = JSON.parse(stdout)
    expect(root).toMatchObject({
      trees: ['Events', 'GEM_Events', 'PMT_Avg_Events', 'PMT_Events', 'Reco_params', 'reco_git_hash'],
      hash: 'builtin-test',
      event: [0, 1, 2, 3],
      pedestal_run: [6, 6, 6, 6],
      avg: [9],
      nsigma: 0.6,
    })
    for (const branch of ['run', 'nSc', 'cmos_integral', 'Lime_pressure', 'sc_rms', 'sc_lp0fwhm', 'sc_pearson'])
      expect(root.branches).toContain(branch)
    const reader = createProductReader()
    for (let event = 0; event < 4; event++) {
      const clusters = await reader.clustersOfEvent(join(outFolder, productNames.clusters), event)
      const column = (of: (cluster: (typeof clusters)[number]) => number) => clusters.map(of)
      expect(root.sc_integral[event]).toEqual(column(({ integralCounts }) => integralCounts))
      expect(root.sc_xmean[event]).toEqual(column(({ yMeanPx }) => yMeanPx))
      clusters.forEach(({ xMeanPx, xMaxPx, thetaDeg, integralCounts, selected }, index) => {
        if (integralCounts >= 10) expect(root.sc_ymean[event][index]).toBeCloseTo(side - 1 - xMeanPx, 3)
        expect(root.sc_ymin[event][index]).toBe(side - 1 - xMaxPx)
        // The same line: 90 degrees less, and back into (-90, 90].
        expect(Math.abs(Math.sin(((root.sc_theta[event][index] - thetaDeg + 90) * Math.PI) / 180))).toBeLessThan(1e-5)
        expect(root.recoil_score[event][index] >= 0).toBe(selected)
        expect(root.learned_energy_kev[event][index] > 0).toBe(selected)
      })
      expect(root.sc_tgausssigma[event]).toEqual(column(({ latGaussSigmaPx }) => latGaussSigmaPx))
      expect(root.truth_track[event]).toEqual(column(({ truthTrack }) => truthTrack))
      expect(Math.abs(root.redpix[event] / clusters[0]!.integralCounts - 1)).toBeLessThan(0.02)
    }
    const { items } = await reader.waveforms(join(outFolder, productNames.waveforms), { fromRow: 0, limit: 10_000 })
    const tubes = items.filter(({ gem, channel }) => !gem && channel !== 9)
    expect(root.pmt.rows).toBe(tubes.length)
    expect(root.pmt.channels).toEqual([1, 2, 3, 4])
    expect(root.pmt.peaks).toEqual(root.pmt.nPeaks)
    expect(root.pmt.integral).toEqual(tubes.map(({ totalIntegralCounts }) => totalIntegralCounts))
  },
)
