# shellcheck shell=bash
# Protects: an interpreter whose every change of size is realloc, with its exact old size known: collector steps,
# tables that double, strings interned and dropped.
# needs: lua5.4:lua5.4

cat >program.lua <<'END'
local t = {}
for i = 1, 200000 do
    t[i] = { i, tostring(i), string.rep("x", i % 40) }
    if i % 4 == 0 then t[i // 2] = nil end
end
local n, len = 0, 0
for i = 1, 200000 do if t[i] then n = n + 1; len = len + #t[i][3] end end
print(n, len)
t = nil
collectgarbage()
collectgarbage("generational")
local parts = {}
for i = 1, 50000 do parts[#parts + 1] = ("%d:%x"):format(i, i * 31) end
local s = table.concat(parts, ",")
print(#s, select(2, s:gsub("%d+:(%x)%x*", "%1")))
table.sort(parts)
print(parts[1], parts[#parts])
local cos = {}
for i = 1, 2000 do cos[i] = coroutine.wrap(function() for k = 1, 5 do coroutine.yield(i * k) end end) end
local sum = 0
for _ = 1, 5 do for i = 1, #cos do sum = sum + cos[i]() end end
print(sum)
print(pcall(string.rep, "x", 1 << 62))
local h = io.popen("echo popen"); print(h:read("a")); h:close()
local maps = io.open("/proc/self/maps"):read("a")
local f = io.open("maps.lua", "w"); f:write(maps); f:close()
END

preload
proof lua5.4 -
lua5.4 program.lua
proof_maps 'lua at its end' maps.lua
