// Having one is enough: links then ask for the data of their pages ahead of time.
import { NextResponse } from "next/server";

export function middleware() {
  return NextResponse.next();
}
