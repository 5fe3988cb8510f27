// Types of preact-htm.js (htm 3.1.1 with Preact 10), as far as our pages use it.

/** A value that `html` may place among the children of an element. */
export type Child = VNode | string | number | bigint | boolean | null | undefined | readonly Child[];

/** One node of a virtual tree; opaque to pages. */
export interface VNode<P = unknown> {
  readonly type: string | ComponentType<P>;
  readonly props: P & { children?: Child };
  readonly key: string | number | null | undefined;
}

export type FunctionComponent<P> = (props: P & { children?: Child }) => Child;
export type ComponentType<P> = FunctionComponent<P> | (new (props: P) => Component<P, object>);

/** Build one node; pages use `html` instead. */
export function h<P>(type: string | ComponentType<P>, props: P | null, ...children: Child[]): VNode<P>;

/** Tagged template that reads like HTML: html`<p class=${name}>${text}</p>`. Text is never parsed as markup. */
export function html(strings: TemplateStringsArray, ...values: unknown[]): VNode;

/** Bring `parent`'s content to `tree`; `null` empties it. */
export function render(tree: Child, parent: Element | DocumentFragment | ShadowRoot): void;

export class Component<P = object, S = object> {
  constructor(props: P);
  props: Readonly<P & { children?: Child }>;
  state: Readonly<S>;
  setState(change: Partial<S> | ((state: Readonly<S>, props: Readonly<P>) => Partial<S> | null)): void;
  forceUpdate(): void;
  componentDidMount?(): void;
  componentDidUpdate?(previousProps: Readonly<P>, previousState: Readonly<S>): void;
  componentWillUnmount?(): void;
  componentDidCatch?(error: unknown): void;
  render(props: P, state: S): Child;
}

export interface Context<T> {
  Provider: FunctionComponent<{ value: T }>;
  Consumer: FunctionComponent<{ children: (value: T) => Child }>;
}
export function createContext<T>(initial: T): Context<T>;

export type Inputs = readonly unknown[];
export type Cleanup = () => void;
export interface Ref<T> {
  current: T;
}
export function useState<S>(initial: S | (() => S)): [S, (next: S | ((state: S) => S)) => void];
export function useReducer<S, A>(reducer: (state: S, action: A) => S, initial: S): [S, (action: A) => void];
export function useEffect(effect: () => void | Cleanup, inputs?: Inputs): void;
export function useLayoutEffect(effect: () => void | Cleanup, inputs?: Inputs): void;
export function useRef<T>(initial: T): Ref<T>;
export function useImperativeHandle<T>(ref: Ref<T | null>, create: () => T, inputs?: Inputs): void;
export function useMemo<T>(make: () => T, inputs: Inputs): T;
export function useCallback<F extends (...args: never[]) => unknown>(callback: F, inputs: Inputs): F;
export function useContext<T>(context: Context<T>): T;
export function useDebugValue(value: unknown): void;
export function useErrorBoundary(callback?: (error: unknown) => void): [unknown, () => void];
