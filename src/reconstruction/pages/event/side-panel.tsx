/** Right of the image: how it is drawn, what is over it, the facts of the event in words. */
import { ActionIcon, Button, Checkbox, NativeSelect, NumberInput, SegmentedControl } from '@mantine/core'
import { useSyncExternalStore } from 'react'
import type { ReactNode, RefObject } from 'react'
import { Count, Facts, Moment, formatCount } from '../../../foundation/browser.tsx'
import { frameViews } from '../../contract.ts'
import type { FrameViewName } from '../../contract.ts'
import { t } from '../messages.ts'
import { colourMapNames } from './colour-maps.ts'
import type { ColourMapName } from './colour-maps.ts'
import type { EventData, EventName } from './event-data.ts'
import type { Frame } from './frame-levels.ts'
import { windowOf } from './image-view.tsx'
import type { ImageHandle, Tool } from './image-view.tsx'
import type { Pedestal } from './frame-store.ts'
import { MeasurePanel } from './measure-panel.tsx'
import type { ValueAt } from './measure.ts'
import { layerNames } from './view-state.ts'
import type { LayerName, ViewState, ViewStore } from './view-state.ts'
import { clamp, zoomLimits } from './zoom.ts'
import { WindowControl } from './window-control.tsx'

export function SidePanel(props: {
  name: EventName
  data: EventData
  store: ViewStore
  view: ViewState
  frame: Frame | undefined
  pedestal: Pedestal | null | undefined
  tool: Tool
  onTool: (tool: Tool) => void
  valueAt: ValueAt | undefined
  unit: string
  onAuto: () => void
  onFit: () => void
  onOne: () => void
  handle: RefObject<ImageHandle | null>
}): ReactNode {
  const { store, view, frame } = props
  const cameras = new Set(props.data.events.map((event) => event.camera)).size
  const layers = (layer: LayerName, on: boolean): void =>
    store.set({ layers: layerNames.filter((name) => (name === layer ? on : view.layers.includes(name))) })
  return (
    <aside className="cy-event-side" aria-label={t('side.label')}>
      <section aria-label={t('side.image')}>
        <SegmentedControl
          size="xs"
          fullWidth
          aria-label={t('side.view')}
          value={view.view}
          onChange={(next) => store.set({ view: frameViews.find((name) => name === next) ?? 'raw', window: undefined })}
          data={frameViews.map((name) => ({
            value: name,
            label: t(`view.${name}Short`),
            disabled: name !== 'raw' && props.pedestal === null,
          }))}
        />
        <p className="cy-small cy-quiet">{viewWords(view.view, props.pedestal)}</p>
        <WindowControl
          frame={frame}
          window={windowOf(view, frame)}
          automatic={view.window === undefined}
          map={view.map}
          inverted={view.inverted}
          unit={props.unit}
          onChange={(window) => store.set({ window })}
          onAuto={props.onAuto}
        />
        <div className="cy-row">
          <NativeSelect
            size="xs"
            className="cy-grow"
            aria-label={t('side.map')}
            value={view.map}
            onChange={(event) => store.set({ map: event.currentTarget.value as ColourMapName })}
            data={colourMapNames.map((name) => ({ value: name, label: t(`map.${name}`) }))}
          />
          <Checkbox
            size="xs"
            label={t('side.invert')}
            checked={view.inverted}
            onChange={(event) => store.set({ inverted: event.currentTarget.checked })}
          />
        </div>
        <Checkbox
          size="xs"
          label={
            props.pedestal === null || props.pedestal === undefined
              ? t('side.mask')
              : t('side.maskOf', { count: props.pedestal.hot.length })
          }
          description={props.pedestal === null ? t('side.maskWithout') : undefined}
          checked={view.masked}
          onChange={(event) => store.set({ masked: event.currentTarget.checked })}
        />
        {cameras > 1 && (
          <NativeSelect
            size="xs"
            label={t('side.camera')}
            value={String(view.camera)}
            onChange={(event) =>
              store.set({ camera: Number(event.currentTarget.value), window: undefined, placement: undefined })
            }
            data={Array.from({ length: cameras }, (_, camera) => String(camera))}
          />
        )}
      </section>
      <section aria-label={t('side.place')}>
        <div className="cy-row">
          <SegmentedControl
            size="xs"
            aria-label={t('side.drag')}
            value={props.tool === 'window' ? 'window' : 'pan'}
            onChange={(next) => props.onTool(next === 'window' ? 'window' : 'pan')}
            data={[
              { value: 'pan', label: t('tool.pan') },
              { value: 'window', label: t('tool.window') },
            ]}
          />
          <Button size="compact-sm" variant="default" onClick={props.onFit}>
            {t('side.fit')}
          </Button>
          <Button size="compact-sm" variant="default" onClick={props.onOne}>
            {t('side.one')}
          </Button>
        </div>
        <Mover handle={props.handle} />
        <PlaceFields store={store} handle={props.handle} />
        <Checkbox
          size="xs"
          label={t('side.max')}
          checked={view.reduction === 'max'}
          onChange={(event) => store.set({ reduction: event.currentTarget.checked ? 'max' : 'mean' })}
        />
      </section>
      <MeasurePanel
        store={store}
        view={view}
        tool={props.tool}
        onTool={props.onTool}
        image={frame}
        valueAt={props.valueAt}
        unit={props.unit}
        reference={`${props.name.experiment}-${props.name.series}-${props.name.number}-event${props.name.event}`}
        handle={props.handle}
      />
      <CampaignFields store={store} view={view} campaigns={props.data.campaigns} />
      <section aria-label={t('side.layers')} className="cy-row">
        {layerNames.map((layer) => (
          <Checkbox
            key={layer}
            size="xs"
            label={t(`layer.${layer}`)}
            checked={view.layers.includes(layer)}
            onChange={(event) => layers(layer, event.currentTarget.checked)}
          />
        ))}
      </section>
      <section aria-label={t('side.facts')}>
        <EventFacts name={props.name} data={props.data} camera={view.camera} frame={frame} />
      </section>
    </aside>
  )
}

/** What is seen, in words, with the pedestal it is seen against. */
export function viewWords(view: FrameViewName, pedestal: Pedestal | null | undefined): string {
  if (view === 'raw') return t(pedestal === null ? 'view.rawAlone' : 'view.rawLong')
  const run = pedestal === null || pedestal === undefined ? '…' : pedestal.run
  return t(view === 'subtracted' ? 'view.subtractedLong' : 'view.calibratedLong', {
    run,
    version: pedestal?.version ?? '…',
  })
}

/** The middle of the view and its zoom, typed. */
function PlaceFields(props: { store: ViewStore; handle: RefObject<ImageHandle | null> }): ReactNode {
  const { store } = props
  const view = useSyncExternalStore(store.subscribe, store.get)
  const field = (name: 'x' | 'y' | 'zoom', label: string): ReactNode => (
    <NumberInput
      size="xs"
      hideControls
      decimalScale={name === 'zoom' ? 3 : 1}
      aria-label={label}
      leftSection={<span className="cy-field-mark">{name === 'zoom' ? '×' : name}</span>}
      leftSectionWidth={20}
      placeholder={t('side.whole')}
      value={view.placement === undefined ? '' : view.placement[name]}
      onBlur={(event) => {
        const value = Number(event.currentTarget.value)
        const now = props.handle.current?.placement()
        if (event.currentTarget.value === '' || !Number.isFinite(value) || now === undefined) return
        const limited = name === 'zoom' ? clamp(value, zoomLimits.least, zoomLimits.most) : value
        if (limited !== now[name]) store.set({ placement: { ...now, [name]: limited } })
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter') event.currentTarget.blur()
      }}
    />
  )
  return (
    <div className="cy-place-fields">
      {field('x', t('side.centreX'))}
      {field('y', t('side.centreY'))}
      {field('zoom', t('side.zoom'))}
    </div>
  )
}

/** Whose clusters are outlined, and whose are laid over them. */
function CampaignFields(props: { store: ViewStore; view: ViewState; campaigns: string[] }): ReactNode {
  const { store, view } = props
  const names = [...new Set([...props.campaigns, view.campaign, ...(view.with === undefined ? [] : [view.with])])]
  if (names.length < 2) return null
  return (
    <section aria-label={t('side.campaigns')} className="cy-two-fields">
      <NativeSelect
        size="xs"
        label={t('side.campaign')}
        value={view.campaign}
        onChange={(event) => {
          const campaign = event.currentTarget.value
          store.set({ campaign, cluster: undefined, ...(view.with === campaign ? { with: undefined } : {}) })
        }}
        data={names}
      />
      <NativeSelect
        size="xs"
        label={t('side.with')}
        value={view.with ?? ''}
        onChange={(event) =>
          store.set({ with: event.currentTarget.value === '' ? undefined : event.currentTarget.value })
        }
        data={[{ value: '', label: t('side.withNone') }, ...names.filter((name) => name !== view.campaign)]}
      />
    </section>
  )
}

/** Every drag has its buttons. */
function Mover(props: { handle: RefObject<ImageHandle | null> }): ReactNode {
  const pan = (x: number, y: number): void => props.handle.current?.panBy(x, y)
  const button = (label: string, sign: string, run: () => void): ReactNode => (
    <ActionIcon variant="default" size="sm" aria-label={label} title={label} onClick={run}>
      {sign}
    </ActionIcon>
  )
  return (
    <div className="cy-row">
      {button(t('keys.zoomIn'), '+', () => props.handle.current?.zoomBy(1.3))}
      {button(t('keys.zoomOut'), '−', () => props.handle.current?.zoomBy(1 / 1.3))}
      {button(t('pan.left'), '←', () => pan(80, 0))}
      {button(t('pan.right'), '→', () => pan(-80, 0))}
      {button(t('pan.up'), '↑', () => pan(0, 80))}
      {button(t('pan.down'), '↓', () => pan(0, -80))}
    </div>
  )
}

function EventFacts(props: { name: EventName; data: EventData; camera: number; frame: Frame | undefined }): ReactNode {
  const { data, frame } = props
  const about = data.events.find((event) => event.event === props.name.event && event.camera === props.camera)
  return (
    <>
      <Facts
        items={[
          [t('fact.clusters'), about === undefined ? undefined : <Count key="clusters" of={about.clusters} />],
          [t('fact.selected'), about === undefined ? undefined : <Count key="selected" of={about.selectedClusters} />],
          [
            t('fact.light'),
            about === undefined
              ? undefined
              : t('fact.counts', { counts: formatCount(Math.round(about.zeroSuppressedSumCounts)) }),
          ],
          [
            t('fact.size'),
            frame === undefined ? undefined : t('fact.pixels', { width: frame.width, height: frame.height }),
          ],
          [
            t('fact.rows'),
            data.searched === undefined
              ? undefined
              : t('fact.rowsFromTo', { from: data.searched.firstRow, to: data.searched.endRow - 1 }),
          ],
          [
            t('fact.time'),
            about?.atMs === null || about === undefined ? undefined : <Moment key="time" atMs={about.atMs} />,
          ],
        ]}
      />
      {about !== undefined && about.note !== '' && <p>{about.note}</p>}
    </>
  )
}
