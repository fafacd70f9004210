/** One reconstruction thread: frames arrive in shared slots, clusters go back as messages (see frame-pool.ts). */
import { parentPort, workerData } from 'node:worker_threads'
import type { Cluster } from './contract.ts'
import type { FrameRequest, FrameResult, PoolStart } from './frame-pool.ts'
import { createImageChain } from './kernels/image-chain.ts'
import { matchImage } from './truth-matching.ts'

const { calibrations, parameters, slots } = workerData as PoolStart
const chains = new Map(
  calibrations.map(({ camera, calibration }) => [
    camera,
    { calibration, chain: createImageChain(calibration, parameters) },
  ]),
)

parentPort!.on('message', ({ slot, camera, event, truth }: FrameRequest) => {
  const { calibration, chain } = chains.get(camera)!
  const image = chain.reconstruct(new Uint16Array(slots[slot]!, 0, calibration.width * calibration.height))
  const truthOf = truth === undefined ? undefined : matchImage(image.clusters, truth, calibration, parameters)
  const result: FrameResult = {
    slot,
    vetoed: image.vetoed,
    suppressedSumCounts: image.suppressedSumCounts,
    macroHits: image.macroHits,
    clusters: image.clusters.map((cluster, rank): Cluster => {
      const { label: _label, cells: _cells, rings: _rings, ...variables } = cluster
      const match = truthOf?.matches[rank]
      return {
        event,
        camera,
        cluster: rank,
        ...variables,
        truthTrack: match?.track ?? -1,
        truthPurity: match?.purity ?? -1,
      }
    }),
    outlines: image.clusters.map((cluster) => JSON.stringify(cluster.rings)),
    tally: truthOf?.tally,
    stageMs: image.stageMs,
  }
  parentPort!.postMessage(result)
})
