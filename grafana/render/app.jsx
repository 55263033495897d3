// Draws a dashboard's data with Grafana's own component library. What that has not got (rows, heat map) is drawn nearly.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { createTheme, FieldType, toDataFrame, getDisplayProcessor, getFieldDisplayName, fieldMatchers, reduceField, dateTime, getFieldDisplayValues, applyFieldOverrides, FieldColorModeId, DataFrameType } from '@grafana/data';
import { ThemeContext, GlobalStyles, TimeSeries, BigValue, BarGauge, PanelChrome, Table, PanelContextProvider } from '@grafana/ui';

const S = window.__DATA__, theme = createTheme({ colors: { mode: window.__THEME__ || 'dark' } });
const CELL = 30, GAP = 8, W = window.__WIDTH__ || 1600, colW = (W - GAP) / 24;
const tr = { from: dateTime(S.start * 1000), to: dateTime(S.end * 1000), raw: { from: 'now-5m', to: 'now' } };
const errors = [];
window.addEventListener('error', e => errors.push(String(e.message)));

const legend = (fmt, m) => !fmt || fmt === '__auto' ? (Object.keys(m).length ? (m.__name__ ?? '') + '{' + Object.entries(m).filter(([k]) => k !== '__name__').map(([k, v]) => `${k}="${v}"`).join(', ') + '}' : 'Value') : fmt.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, k) => m[k] ?? '');
const deepSet = (o, path, v) => { const ks = path.split('.'); let x = o; for (const k of ks.slice(0, -1)) x = x[k] ??= {}; x[ks.at(-1)] = v; };
const unq = v => Number(v);

function frames(p) {
  const fs = [];
  for (const r of p.results) {
    if (r.target.format === 'table') {
      const keys = [...new Set(r.result.flatMap(s => Object.keys(s.metric)))];
      fs.push(toDataFrame({ refId: r.target.refId, fields: [{ name: 'Time', type: FieldType.time, config: {}, values: r.result.map(s => (s.value ?? s.values.at(-1))[0] * 1000) }, ...keys.map(k => ({ name: k, type: FieldType.string, config: {}, values: r.result.map(s => s.metric[k] ?? '') })), { name: 'Value', type: FieldType.number, config: {}, values: r.result.map(s => unq((s.value ?? s.values.at(-1))[1])) }] }));
      continue;
    }
    for (const s of r.result) {
      const vals = s.values ?? [s.value], by = new Map(vals.map(v => [Math.round(v[0]), unq(v[1])])); const t = [], y = [];
      if (s.values) for (let x = S.start; x <= S.end; x += r.step) { t.push(x * 1000); const q = by.get(x); y.push(q === undefined || Number.isNaN(q) ? null : q); } else { t.push(vals[0][0] * 1000); y.push(unq(vals[0][1])); }
      fs.push(toDataFrame({ refId: r.target.refId, name: legend(r.target.legendFormat, s.metric), fields: [{ name: 'Time', type: FieldType.time, config: {}, values: t }, { name: 'Value', type: FieldType.number, labels: s.metric, config: { displayNameFromDS: legend(r.target.legendFormat, s.metric) }, values: y }] }));
    }
  }
  let n = 0; const all = fs.flatMap(f => f.fields.filter(x => x.type === FieldType.number).flatMap(x => x.values.filter(Number.isFinite))), lo = Math.min(...all), hi = Math.max(...all), range = { min: lo, max: hi, delta: hi - lo };
  fs.forEach((f, fi) => f.fields.forEach((fl, i) => {
    const cfg = structuredClone({ ...p.fieldConfig.defaults, ...fl.config });
    for (const o of p.fieldConfig.overrides ?? []) if (fieldMatchers.get(o.matcher.id).get(o.matcher.options)(fl, f, fs)) for (const pr of o.properties) deepSet(cfg, pr.id, pr.value);
    if (fl.type === FieldType.time) { cfg.unit = undefined; cfg.custom = {}; }
    cfg.thresholds?.steps?.forEach(s => { if (s.value === null) s.value = -Infinity; });
    cfg.custom = { ...(p.type === 'timeseries' ? { lineWidth: 1, drawStyle: 'line', axisPlacement: 'auto' } : {}), ...cfg.custom };
    fl.config = cfg; fl.state = { ...(fl.state ?? {}), seriesIndex: fl.type === FieldType.number ? n++ : undefined, range, origin: { frameIndex: fi, fieldIndex: i } };
    if (fl.type === FieldType.number && ['gauge'].includes(p.type)) { cfg.min ??= 0; cfg.max ??= cfg.unit === 'percentunit' ? 1 : 100; }
    fl.display = getDisplayProcessor({ field: fl, theme });
  }));
  return fs;
}
const single = (p, fs) => getFieldDisplayValues({ fieldConfig: p.fieldConfig, reduceOptions: p.options.reduceOptions ?? { calcs: ['lastNotNull'] }, replaceVariables: s => s, theme, data: fs, sparkline: p.options.graphMode === 'area', timeZone: 'utc' });

function Heatmap({ p, width, height }) {            // not in @grafana/ui: a plain canvas of le-buckets
  const ref = React.useRef();
  React.useEffect(() => {
    const ss = p.results[0].result.map(s => ({ le: s.metric.le === '+Inf' ? Infinity : +s.metric.le, v: new Map(s.values.map(x => [Math.round(x[0]), +x[1]])) })).sort((a, b) => a.le - b.le);
    const st = p.results[0].step, n = Math.floor((S.end - S.start) / st) + 1, g = ref.current.getContext('2d'); let mx = 0; const m = [];
    for (let i = 0; i < n; i++) { const x = S.start + i * st; let prev = 0; m.push(ss.map(s => { const c = s.v.get(x) ?? 0, d = Math.max(0, c - prev); prev = c; mx = Math.max(mx, d); return d; })); }
    const cw = (width - 60) / n, ch = height / ss.length; g.font = '10px sans-serif';
    m.forEach((col, i) => col.forEach((v, j) => { if (v > 0) { g.fillStyle = `hsl(${40 - 40 * v / mx},90%,${20 + 45 * Math.sqrt(v / mx)}%)`; g.fillRect(60 + i * cw, height - (j + 1) * ch, Math.ceil(cw), Math.ceil(ch)); } }));
    g.fillStyle = theme.colors.text.secondary; ss.forEach((s, j) => { if (j % 3 === 0) g.fillText(String(s.le), 4, height - j * ch); });
  }, []);
  return <canvas ref={ref} width={width} height={height} />;
}
function Arc({ w, h, v }) {                          // @grafana/ui's Gauge needs jQuery-flot from Grafana core; value/colour still come from Grafana's display processor
  const c = v.field, f = Math.min(1, Math.max(0, (v.display.numeric - (c.min ?? 0)) / ((c.max ?? 1) - (c.min ?? 0)))), R = Math.min(w / 2, h * 0.8) - 14, cx = w / 2, cy = h * 0.8, pt = t => `${cx - R * Math.cos(Math.PI * t)} ${cy - R * Math.sin(Math.PI * t)}`;
  return <svg width={w} height={h}><path d={`M ${pt(0)} A ${R} ${R} 0 0 1 ${pt(1)}`} fill='none' stroke={theme.colors.background.secondary} strokeWidth='18' /><path d={`M ${pt(0)} A ${R} ${R} 0 0 1 ${pt(f)}`} fill='none' stroke={v.display.color} strokeWidth='18' /><text x={cx} y={cy} textAnchor='middle' fontSize={R / 2.4} fill={v.display.color}>{v.display.prefix}{v.display.text}{v.display.suffix}</text></svg>;
}
function Body({ p, width, height }) {
  const fs = React.useMemo(() => frames(p), []);
  if (!p.results.some(r => r.result.length)) return <div style={{ textAlign: 'center', paddingTop: height / 3, color: theme.colors.text.secondary }}>No data</div>;
  if (p.type === 'timeseries') return <TimeSeries frames={fs} structureRev={1} timeRange={tr} timeZone="utc" width={width} height={height} legend={{ showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...p.options.legend }} options={p.options} />;
  if (p.type === 'table') return <Table data={fs[0]} width={width} height={height} />;
  if (p.type === 'heatmap') return <Heatmap p={p} width={width} height={height} />;
  if (p.type === 'gauge') { p.fieldConfig.defaults.min ??= 0; p.fieldConfig.defaults.max ??= p.fieldConfig.defaults.unit === 'percentunit' ? 1 : 100; }
  const vs = single(p, fs), vert = p.type === 'bargauge' && p.options.orientation !== 'vertical';
  const w = vert ? width : width / vs.length, h = vert ? height / vs.length : height;
  return <div style={{ display: 'flex', flexDirection: vert ? 'column' : 'row' }}>{vs.map((v, i) => p.type === 'stat' ? <BigValue key={i} width={w} height={h} value={vs.length > 1 ? v.display : { ...v.display, title: '' }} sparkline={v.sparkline} colorMode={p.options.colorMode ?? 'value'} graphMode={p.options.graphMode ?? 'none'} justifyMode={p.options.justifyMode ?? 'auto'} textMode={p.options.textMode ?? 'auto'} theme={theme} />
    : p.type === 'gauge' ? <Arc key={i} w={w} h={h} v={v} />
    : <BarGauge key={i} width={w} height={h} theme={theme} value={v.display} field={v.field} display={v.view?.getFieldDisplayProcessor(v.colIndex)} orientation="horizontal" displayMode={p.options.displayMode ?? 'gradient'} itemSpacing={6} showUnfilled />)}</div>;
}
class EB extends React.Component { state = {}; static getDerivedStateFromError(e) { errors.push(e.message); return { e }; } render() { return this.state.e ? <pre style={{ color: 'red' }}>{String(this.state.e.stack)}</pre> : this.props.children; } }
function App() {
  const H = Math.max(...S.panels.map(p => p.gridPos.y + p.gridPos.h)) * (CELL + GAP) + 60;
  return <ThemeContext.Provider value={theme}><GlobalStyles isExtensionSidebarOpen={false} /><div style={{ background: theme.colors.background.canvas, width: W, height: H, position: 'relative', color: theme.colors.text.primary, fontFamily: theme.typography.fontFamily }}>
    <h3 style={{ padding: 12, margin: 0 }}>{S.dashboard.title} <small style={{ color: theme.colors.text.secondary }}>{Object.entries(S.vars).map(([k, v]) => `${k}=${v}`).join('  ')}  {new Date(S.start * 1000).toISOString()} … {new Date(S.end * 1000).toISOString()}</small></h3>
    {S.panels.map(p => { const g = p.gridPos, st = { position: 'absolute', left: GAP + g.x * colW, top: 50 + g.y * (CELL + GAP), width: g.w * colW - GAP, height: g.h * (CELL + GAP) - GAP };
      if (p.type === 'row') return <div key={p.id} style={{ ...st, fontWeight: 500 }}>▾ {p.title}</div>;
      return <div key={p.id} style={st}><PanelChrome title={p.title} description={p.description} width={st.width} height={st.height}>{(w, h) => <EB>{p.type === 'text' ? <div>{p.options.content}</div> : <Body p={p} width={w} height={h} />}</EB>}</PanelChrome></div>; })}
  </div></ThemeContext.Provider>;
}
createRoot(document.getElementById('root')).render(<App />);
setTimeout(() => { document.title = 'ready'; document.getElementById('errors').textContent = JSON.stringify(errors); }, 3000);
