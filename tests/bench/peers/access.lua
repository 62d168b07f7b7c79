-- What the gateway does, in Lua for nginx: the session's JWT (HS256) is verified, each user is
-- counted, and a token is kept until shortly before it expires. The key's HMAC state is made
-- once, as lua-resty-hmac does where it is reset instead of made anew.
local ffi = require "ffi"
local cjson = require "cjson.safe"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
typedef struct hmac_ctx_st HMAC_CTX;
const EVP_MD *EVP_sha256(void);
HMAC_CTX *HMAC_CTX_new(void);
int HMAC_Init_ex(HMAC_CTX *, const void *, int, const EVP_MD *, void *);
int HMAC_Update(HMAC_CTX *, const char *, size_t);
int HMAC_Final(HMAC_CTX *, unsigned char *, unsigned int *);
int CRYPTO_memcmp(const void *, const void *, size_t);
]]
local C = ffi.C
local digest, length = ffi.new "unsigned char[32]", ffi.new "unsigned int[1]"

local Access = {}
Access.__index = Access

local function keyed(secret)
  local state = C.HMAC_CTX_new()
  assert(C.HMAC_Init_ex(state, secret, #secret, C.EVP_sha256(), nil) == 1)
  return state
end

local function mac(state, text)
  C.HMAC_Init_ex(state, nil, 0, nil, nil)
  C.HMAC_Update(state, text, #text)
  C.HMAC_Final(state, digest, length)
end

local function encode(text)
  return (ngx.encode_base64(text, true):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

local function decode(text)
  return ngx.decode_base64((text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" })) .. ("="):rep(-#text % 4))
end

function Access.new(secret, key, limit)
  local id, value = key:match "^PRTV_([^_]+)_(.+)$"
  local head = encode(cjson.encode { alg = "HS256", typ = "JWT", kid = id })
  return setmetatable({ session = keyed(secret), token = keyed(value), head = head, limit = limit }, Access)
end

function Access:verified(jwt)
  local signed, head, body, signature = (jwt or ""):match "^(([%w_-]+)%.([%w_-]+))%.([%w_-]+)$"
  if not signed then return end
  local given = decode(signature)
  if not given or #given ~= 32 then return end
  mac(self.session, signed)
  if C.CRYPTO_memcmp(digest, given, 32) ~= 0 then return end
  local header, claims = cjson.decode(decode(head) or ""), cjson.decode(decode(body) or "")
  if not header or header.alg ~= "HS256" or type(claims) ~= "table" then return end
  if type(claims.exp) ~= "number" or claims.exp <= ngx.time() or type(claims.sub) ~= "string" then return end
  return claims.sub
end

-- The user of a request that may pass; others end here.
function Access:user()
  local user = self:verified(ngx.var.cookie_session)
  if not user then return ngx.exit(401) end
  if ngx.shared.limits:incr(user, 1, 0, 60) > self.limit then return ngx.exit(429) end
  return user
end

function Access:answer()
  local user = self:user()
  local token = ngx.shared.tokens:get(user)
  if not token then
    local now = ngx.time()
    local text = self.head .. "." .. encode(cjson.encode { tags = { user }, iat = now, exp = now + 600 })
    mac(self.token, text)
    token = cjson.encode { authToken = text .. "." .. encode(ffi.string(digest, 32)) }
    ngx.shared.tokens:set(user, token, 480)
  end
  local header = ngx.header
  header["Content-Type"] = "application/json"
  header["Content-Length"] = #token
  header["Cache-Control"] = "no-store"
  header["Vary"] = "Cookie"
  header["X-Content-Type-Options"] = "nosniff"
  ngx.print(token)
end

return Access
