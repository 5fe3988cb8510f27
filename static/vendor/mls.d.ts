// Types of mls.js: those of the package it is built from, under the names that its entry file re-exports.

export * from "./mls-entry.mjs";
