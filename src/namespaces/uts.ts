/** UTS namespaces: the names of the host and of its NIS domain (utsns-ID.img). */
import type { ImageDir } from "../images/image-dir.ts";
import { IMAGES } from "../images/kinds.ts";
import { NEW } from "../linux/clone.ts";
import { NR } from "../linux/nr.ts";
import { bytesToText, textToBytes } from "../linux/text.ts";
import { utsname } from "../linux/uname.ts";
import type { Restoree } from "../tracee/build/restoree.ts";
import type { FoundNamespace, NamespaceDumpContext, NamespaceKind } from "./namespace.ts";

export const uts: NamespaceKind = {
  name: "uts",
  flag: NEW.UTS,
  field: "uts_ns_id",
  own: 4,
  nests: true,
  dump: (found, context) => {
    for (const each of found) dumpUts(each, context);
  },
  fill: ({ id }, first, { images }) => fillUts(images, id, first),
};

function dumpUts({ id, pid }: FoundNamespace, { images, tableOf }: NamespaceDumpContext): void {
  if (pid === undefined) return;
  const table = tableOf(pid);
  const space = table.space(utsname.size);
  table.must("the names of its host", NR.uname, space.address);
  table.run();
  const { nodename, domainname } = utsname.decode(space.bytes);
  const text = (field: Uint8Array) => bytesToText(field.subarray(0, field.indexOf(0)));
  images.writeAll(IMAGES.utsns, [{ nodename: text(nodename), domainname: text(domainname) }], id);
}

function fillUts(images: ImageDir, id: number, { table }: Restoree): void {
  const { nodename, domainname } = images.readOne(IMAGES.utsns, id);
  const set = (what: string, nr: number, name: string) => {
    const bytes = textToBytes(name);
    table.must(what, nr, table.data(bytes), bytes.length);
  };
  set("the name of its host", NR.sethostname, nodename);
  set("the name of its domain", NR.setdomainname, domainname);
  table.run();
}
