// A dashboard as Grafana's own types describe it, with the options of each kind of panel that ours have.
import type {
  Dashboard,
  FieldConfig,
  FieldConfigSource,
  Panel,
  RowPanel,
} from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type { Options as StatOptions } from './node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type {
  FieldConfig as TableFields,
  Options as TableOptions,
} from './node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type {
  FieldConfig as TimeSeriesFields,
  Options as TimeSeriesOptions,
} from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

type Source<Custom> = Omit<FieldConfigSource, 'defaults'> & {
  defaults: Omit<FieldConfig, 'custom'> & { custom?: Partial<Custom> };
};
type Of<Kind extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig'> & {
  type: Kind;
  options?: Partial<Options>;
  fieldConfig?: Source<Custom>;
};
type Known =
  | Of<'stat', StatOptions, Record<string, never>>
  | Of<'table', TableOptions, TableFields>
  | Of<'timeseries', TimeSeriesOptions, TimeSeriesFields>;

export type OurDashboard = Omit<Dashboard, 'panels'> & { panels: Array<Known | RowPanel> };
