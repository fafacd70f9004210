import type { DetectorModel } from './detector-model.ts'
import { productionOdb } from './production.ts'
import type { Production } from './truth.ts'

/** The online database of the simulated detector: the places of the real one that a logbook reads, with the same names. */
export interface SimulatedOdbInput {
  number: number
  kind: 'pedestal' | 'data'
  description: string
  exposureMs: number
  startedSeconds: number
  /** 0 while the run is going on. */
  endedSeconds: number
  events: number
  camera: { type: string; width: number; height: number }
  cameras: number
  model: DetectorModel
  source: 'iron' | 'ambe' | undefined
  waveforms: boolean
  production: Production
}

export function simulatedOdb(input: SimulatedOdbInput) {
  const pedestal = input.kind === 'pedestal'
  // Pedestals are taken with the GEMs below multiplication.
  const [gem1, gem2, gem3] = pedestal
    ? [200, 200, 200]
    : [input.model.gem1Volts, input.model.gem2Volts, input.model.gem3Volts]
  const names = ['Offset', 'VGEM3', 'Transf2', 'VGEM2', 'Transf1', 'VGEM1', 'Drift', 'PMT1', 'PMT2', 'PMT3', 'PMT4']
  const demand = [10, gem3, 500, gem2, 500, gem1, 960, 772, 772, 800, 770]
  return {
    Experiment: { Name: 'Simulated LIME', 'Run Parameters': { 'Run description': input.description } },
    Runinfo: {
      State: input.endedSeconds === 0 ? 3 : 1,
      'Online Mode': 0,
      'Run number': input.number,
      'Start time': wallTime(input.startedSeconds),
      'Start time binary': input.startedSeconds,
      'Stop time': input.endedSeconds === 0 ? '' : wallTime(input.endedSeconds),
      'Stop time binary': input.endedSeconds,
    },
    Configurations: {
      FreeRunning: false,
      TriggerMode: 0,
      Pedestal: pedestal,
      Exposure: input.exposureMs / 1000,
      'Number of Digitizers': input.waveforms ? 2 : 0,
      DigitizerSamples: [1024, 4000],
      SamplingFrequency: [0, 4],
      DigitizerPostTrg: [60, 60],
      // The simulated chips have no errors.
      DRS4Correction: true,
      TriggerState: { discrimination_threshold: 2, trigger_veto_time: 10, trigger_logic: 0 },
      SourceState: { source_position: 0, source_type: pedestal ? 0 : 1 },
      run_type: pedestal ? 1 : 0,
      shielding_configuration: 3,
      pmt_acquisition: input.waveforms,
      simulation_seed: input.production.seed,
    },
    Equipment: {
      HV: {
        Settings: { Names: names },
        Variables: { Demand: demand, Measured: demand.map((volts, i) => volts + [0.06, 0.18, 0.32, 0.2, 0.4][i % 5]!) },
      },
      CATHODE: { Settings: { Names: 'ISEG_HPS' }, Variables: { Demand: 41250, Measured: -41291, Current: -9.7 } },
      Trigger: {
        Settings: {
          'Camera type': Array.from({ length: input.cameras }, () => input.camera.type),
          nCamera: input.cameras,
          'Camera width': input.camera.width,
          'Camera height': input.camera.height,
        },
        Statistics: { 'Events sent': input.events },
      },
      CameraStatus: {
        Variables: {
          TCAM:
            input.cameras === 1
              ? input.model.sensorCelsius
              : Array.from({ length: input.cameras }, () => input.model.sensorCelsius),
        },
      },
    },
    Simulation: productionOdb(input.production),
    Logger: { 'Data dir': '', Runlog: { SQL: { 'Write data': false, Password: '' } } },
  }
}

/** As MIDAS prints it; here always UTC. */
const wallTime = (seconds: number): string =>
  new Date(seconds * 1000).toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+) ([\d:]+) GMT$/, '$1 $3 $2 $5 $4')
