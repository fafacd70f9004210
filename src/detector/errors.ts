import { catalogue } from '../foundation/errors.ts'

/** The Faults of this room. Damage inside a run file is not among them: it is a RunFault in the answer, and reading goes as far as it can. */
export const detectorFaults = catalogue('detector', {
  noSuchFile: { status: 404, title: 'No such run file' },
  unreadableFile: { status: 422, title: 'The run file cannot be read' },
  noSuchEvent: { status: 404, title: 'No such event in this run' },
  badOdb: { status: 422, title: 'The online database dump cannot be read' },
  badFrame: { status: 422, title: 'The camera bank has no known shape' },
  badDigitizer: { status: 422, title: 'The digitizer banks do not fit together' },
  badMap: { status: 422, title: 'The light collection map cannot be read' },
  badTable: { status: 422, title: 'The table of corrections cannot be read' },
  badRootFile: { status: 422, title: 'The ROOT file cannot be read' },
  badPictures: { status: 422, title: 'The pictures of an older run cannot be read' },
  badTruth: { status: 422, title: 'The truth beside the run cannot be read' },
  badTracks: { status: 422, title: 'The track file cannot be digitized' },
  badOptions: { status: 422, title: 'The simulation cannot be made with these options' },
  alreadyThere: { status: 409, title: 'The run file exists already' },
})
