-- Forward auth for HAProxy 2.5 and newer: asks Portcullis about a request before it goes to the app.
--
--   global
--     lua-load /etc/haproxy/portcullis.lua
--   frontend app
--     http-request lua.portcullis http://127.0.0.1:9191 x-auth-user,cookie unless { path /api/get-auth-token }
--
-- The first argument is [auth] listen, the second names the headers that the app learns from. Each of them is replaced by
-- what Portcullis says, or removed. A request goes on only if the answer is 200; without an answer it gets 503.

-- Of the client's connection, not of its request; or said below in HAProxy's own words.
local dropped = {
  ["connection"] = true, ["keep-alive"] = true, ["upgrade"] = true, ["te"] = true, ["trailer"] = true,
  ["transfer-encoding"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true, ["forwarded"] = true,
  ["proxy-authorization"] = true, ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true, ["x-forwarded-host"] = true,
  ["x-forwarded-method"] = true, ["x-forwarded-uri"] = true,
}

local function question(txn)
  local headers = {}
  local host = ""
  for name, values in pairs(txn.http:req_get_headers()) do
    if name == "host" then host = values[0] end
    if not dropped[name] then
      local all = {}
      for index = 0, #values do table.insert(all, values[index]) end
      headers[name] = all
    end
  end
  headers["x-forwarded-method"] = { txn.sf:method() }
  headers["x-forwarded-uri"] = { txn.sf:pathq() }
  headers["x-forwarded-host"] = { host }
  headers["x-forwarded-for"] = { txn.sf:src() }
  headers["x-forwarded-proto"] = { txn.sf:ssl_fc() == "1" and "https" or "http" }
  return headers
end

local function refuse(txn, answer)
  local reply = txn:reply { status = 503, reason = "Service Unavailable" }
  if answer and answer.status >= 300 then
    reply:set_status(answer.status)
    for _, name in ipairs { "content-type", "location", "retry-after", "www-authenticate", "allow", "ratelimit", "ratelimit-policy" } do
      local values = answer.headers[name]
      if values then reply:add_header(name, values[0]) end
    end
    reply:set_body(answer.body or "")
  end
  reply:add_header("cache-control", "no-store")
  txn:done(reply)
end

core.register_action("portcullis", { "http-req" }, function(txn, address, names)
  local asked = question(txn)
  local answer = core.httpclient():get { url = address .. "/auth/forward", headers = asked, timeout = 5000 }
  if not answer or answer.status ~= 200 then
    return refuse(txn, answer)
  end
  -- The app hears what the gateway has heard, not the client's words.
  for _, name in ipairs { "forwarded", "x-forwarded-method", "x-forwarded-uri" } do txn.http:req_del_header(name) end
  txn.http:req_set_header("x-forwarded-host", asked["x-forwarded-host"][1])
  for name in names:gmatch("[^,%s]+") do
    name = name:lower()
    txn.http:req_del_header(name)
    local values = answer.headers[name]
    if values and values[0] ~= "" then txn.http:req_set_header(name, values[0]) end
  end
end, 2)
