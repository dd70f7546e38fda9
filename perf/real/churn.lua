-- churn.lua COUNT: strings are made, cut, joined and kept in tables; closures and coroutines come
-- and go.
local count = tonumber(arg[1])
local kept, total = {}, 0
for i = 1, count do
    local key = "key" .. i * 7919 % 30011
    local old = kept[key]
    if old then
        total = total + #old.text + #old
        kept[key] = nil
    else
        local entry = { text = string.rep(key, i % 5 + 1, "-"), i, i + 1, i + 2 }
        entry.upper = entry.text:upper():sub(2, 20)
        kept[key] = entry
    end
    if i % 50 == 0 then
        local parts = {}
        for word in (("lorem ipsum dolor sit amet "):rep(4) .. i):gmatch("%S+") do
            parts[#parts + 1] = word:reverse()
        end
        local text = table.concat(parts, " ")
        local step = coroutine.wrap(function() coroutine.yield(#text) end)
        total = total + step()
    end
end
local left = 0
for _ in pairs(kept) do left = left + 1 end
print(total, left)
