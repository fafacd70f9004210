/** From what the chain measured in an image to rows of the cluster table, in the order of the image (brightest first). */
import { neutralDetails } from './cluster-detail-columns.ts'
import type { Cluster } from './contract.ts'
import type { ReconstructedImage } from './kernels/image-chain.ts'
import type { ClusterMatch } from './truth-matching.ts'

/** `matches` in cluster order, undefined where there is no truth. */
export function clusterRowsOf(
  image: ReconstructedImage,
  place: { event: number; camera: number },
  matches: readonly ClusterMatch[] | undefined,
): Cluster[] {
  return image.clusters.map((cluster, rank): Cluster => {
    const { label: _label, cells: _cells, rings: _rings, ...variables } = cluster
    const match = matches?.[rank]
    return {
      event: place.event,
      camera: place.camera,
      cluster: rank,
      ...neutralDetails,
      ...variables,
      truthTrack: match?.track ?? -1,
      truthPurity: match?.purity ?? -1,
    }
  })
}
